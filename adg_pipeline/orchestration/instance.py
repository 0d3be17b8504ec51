"""The Dagster instance that the command line shares with the UI."""

import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import dagster as dg
import yaml

from adg_pipeline.errors import SettingsError
from adg_pipeline.host.disk import network_filesystem
from adg_pipeline.orchestration.compute import GPU_POOL, SELECTION_POOL

DEFAULT_HOME = ".dagster"
# What of this project's installation brings the packages that dagster.yaml may name.
_EXTRAS = {"dagster_postgres": "postgres", "dagster_k8s": "kubernetes", "dagster_ray": "ray"}


def instance_fault(error: BaseException | None) -> str | None:
    """What to tell a user where the instance's database can't be used, as on a full disk, or where its server doesn't answer;
    None for any other error."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    found: str | None = None
    while error is not None:
        home = os.environ.get("DAGSTER_HOME") or DEFAULT_HOME
        if isinstance(error, sqlite3.OperationalError):
            return (
                f"{home}: Dagster's database can't be used ({error}). If its disk is full or read-only, mend that, then run "
                "again: what was finished is kept"
            )
        if isinstance(error, OperationalError | InterfaceError):
            said = str(error.orig).partition("\n")[0]
            found = (
                f"{home}/dagster.yaml: the server of Dagster's database can't be used ({said}). Start it, or correct what "
                "the file says of it, then run again: what was finished is kept"
            )
        error = error.__cause__ or error.__context__
    return found


def instance_home() -> Path:
    """``$DAGSTER_HOME``, else ``.dagster`` in the working directory."""
    return Path(os.environ.get("DAGSTER_HOME") or DEFAULT_HOME).resolve()


def open_instance(*, create: bool = True) -> dg.DagsterInstance:
    """The instance at ``$DAGSTER_HOME``, else at ``.dagster`` in the working directory, which is made if missing.

    A new home gets the ``dagster.yaml`` of the working directory, or else the project's own.

    create: False for a command that only looks. Where there is no instance yet it gets an empty one, in memory.

    Raises SettingsError where what dagster.yaml asks for isn't there.
    """
    home = instance_home()
    settings = home / "dagster.yaml"
    if not create and not _is_in_use(home, settings):
        return dg.DagsterInstance.ephemeral()
    home.mkdir(parents=True, exist_ok=True)
    if not settings.exists():
        candidates = (Path("dagster.yaml"), Path(__file__).resolve().parents[2] / "dagster.yaml")
        source = next((path for path in candidates if path.exists()), None)
        if source is not None:
            shutil.copyfile(source, settings)
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        instance = dg.DagsterInstance.get()
    except Exception as error:
        if (fault := _settings_fault(error)) is None:
            raise
        raise SettingsError(f"{settings}: {fault}") from error
    if is_shared(instance):
        have_pools(instance)
    return instance


def may_have_runs(statuses: Collection[dg.DagsterRunStatus]) -> bool:
    """Whether the instance may have a run of these statuses; opening it tells for certain.

    Asked of its database's file: to open it takes as long as all else of a look at the store, and most looks find no run.
    """
    home = instance_home()
    settings = home / "dagster.yaml"
    if not _is_in_use(home, settings):
        return False
    asked = f"SELECT EXISTS (SELECT 1 FROM runs WHERE status IN ({', '.join('?' * len(statuses))}))"
    try:
        if _names_storage(settings):
            return True
        with closing(sqlite3.connect(f"{(home / 'history' / 'runs.db').as_uri()}?mode=ro", uri=True)) as database:
            return bool(database.execute(asked, [status.value for status in statuses]).fetchone()[0])
    except (sqlite3.Error, yaml.YAMLError):  # whoever opens the instance is told
        return True


def have_pools(instance: dg.DagsterInstance) -> None:
    """Have the concurrency pools in the database before a step needs one: of two hosts that are the first to need it, Dagster
    fails one on PostgreSQL, since a row that is there already ends the transaction that goes on after it."""
    from sqlalchemy.exc import DBAPIError

    storage = instance.event_log_storage
    if instance.global_op_concurrency_default_limit is None:
        return
    for pool in {GPU_POOL, SELECTION_POOL} - _pools(instance):
        try:
            storage.initialize_concurrency_limit_to_default(pool)
        except DBAPIError:
            if pool not in _pools(instance):
                raise


def _pools(instance: dg.DagsterInstance) -> set[str]:
    return {limit.name for limit in instance.event_log_storage.get_pool_limits()}


def storage_in_words(instance: dg.DagsterInstance) -> str:
    """What keeps the instance's runs and events, and where; a password isn't told."""
    from sqlalchemy.engine import make_url

    url = getattr(instance.run_storage, "postgres_url", None)
    if url is None:
        return f"{type(instance.run_storage).__name__} in {instance_home()}"
    place = make_url(url)
    return f"{type(instance.run_storage).__name__} at {place.host}:{place.port}/{place.database}"


def _settings_fault(error: BaseException | None) -> str | None:
    """What dagster.yaml asks for that isn't there: a variable, a package, a setting of that name."""
    if isinstance(error, dg.DagsterInvalidConfigError):
        told = [fault.message.partition("PostProcessingError: ")[2] or fault.message for fault in error.errors]
        return "; ".join(text.splitlines()[0] for text in told)
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            extra = _EXTRAS.get(error.name or "")
            return f"{error.name} isn't installed" + (f": `pip install -e '.[{extra}]'`" if extra else "")
        error = error.__cause__ or error.__context__
    return None


def is_shared(instance: dg.DagsterInstance) -> bool:
    """Whether other machines may use the instance as well: its database is a server and no file."""
    # Like SQLAlchemy's, their module takes a second to load, which the definitions needn't spend.
    from dagster._core.storage.runs import InMemoryRunStorage, SqliteRunStorage

    return not isinstance(instance.run_storage, SqliteRunStorage | InMemoryRunStorage)


def beyond_this_host(instance: dg.DagsterInstance) -> list[str]:
    """What a user should know before a run where there may be more than one machine."""
    said = []
    kind = None if is_shared(instance) or instance.is_ephemeral else network_filesystem(instance_home())
    if kind is not None:
        said.append(
            f"{instance_home()} lies on a network file system ({kind}), and Dagster's database there is a file, which one "
            "machine at a time may use: set DAGSTER_HOME to a local folder, or keep the database on a server (docs/scale.md)"
        )
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        said.append(
            f"this command computes here; what sensors and backfills start goes to {type(instance.run_launcher).__name__}"
        )
    return said


def _is_in_use(home: Path, settings: Path) -> bool:
    """Whether somebody opened an instance there. Opening one makes its databases, unless they lie on a server."""
    return (home / "history").is_dir() or _names_storage(settings)


def _names_storage(settings: Path) -> bool:
    """Whether dagster.yaml says where the databases lie: not in the instance's folder."""
    configured = yaml.safe_load(settings.read_text("utf-8")) if settings.is_file() else None
    return isinstance(configured, dict) and any("storage" in key for key in configured)
