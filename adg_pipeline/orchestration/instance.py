"""The Dagster instance that the command line shares with the UI."""

import os
import shutil
import sqlite3
from pathlib import Path

import dagster as dg
import yaml

DEFAULT_HOME = ".dagster"


def instance_fault(error: BaseException | None) -> str | None:
    """What to tell a user where the instance's database can't be used, as on a full disk; None for any other error."""
    while error is not None:
        if isinstance(error, sqlite3.OperationalError):
            home = os.environ.get("DAGSTER_HOME") or DEFAULT_HOME
            return (
                f"{home}: Dagster's database can't be used ({error}). If its disk is full or read-only, mend that, then run "
                "again: what was finished is kept"
            )
        error = error.__cause__ or error.__context__
    return None


def instance_home() -> Path:
    """``$DAGSTER_HOME``, else ``.dagster`` in the working directory."""
    return Path(os.environ.get("DAGSTER_HOME") or DEFAULT_HOME).resolve()


def open_instance(*, create: bool = True) -> dg.DagsterInstance:
    """The instance at ``$DAGSTER_HOME``, else at ``.dagster`` in the working directory, which is made if missing.

    A new home gets the ``dagster.yaml`` of the working directory, or else the project's own.

    create: False for a command that only looks. Where there is no instance yet it gets an empty one, in memory.
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
    return dg.DagsterInstance.get()


def _is_in_use(home: Path, settings: Path) -> bool:
    """Whether somebody opened an instance there. Opening one makes its databases, unless they lie on a server."""
    if (home / "history").is_dir():
        return True
    configured = yaml.safe_load(settings.read_text("utf-8")) if settings.is_file() else None
    return isinstance(configured, dict) and any("storage" in key for key in configured)
