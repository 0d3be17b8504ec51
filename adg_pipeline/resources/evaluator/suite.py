"""Suites: which benchmarks are asked, how, and what their figures are gathered to. A suite is a YAML file.

Those that come with the project lie in ``suites/``; any other is named by its path. Tasks are those of
lm-evaluation-harness, or YAML files of its own format in the folder that the suite names as ``include``.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from adg_pipeline.errors import SettingsError

FOLDER = Path(__file__).with_name("suites")

_LONGEST_NAME = 100

# A suite's name is a folder's in the store.
SuiteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class SuiteTask(BaseModel):
    """One benchmark of a suite.

    Attributes:
        task: Task or group of the harness.
        shots: Worked examples in the prompt. A task that says 0 itself stays at 0.
        metric, filter: Which of the harness' figures counts in groups and average; the others are kept beside it.
        runs_code: Whether programs that the model writes are run to mark it.
        dataset: Name of its data on the model hub, as `adg benchmarks prepare` lays it out; None where it has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(min_length=1)
    shots: int = Field(default=0, ge=0, le=100)
    metric: str
    filter: str = "none"
    runs_code: bool = False
    dataset: str | None = None


class Suite(BaseModel):
    """A suite, read by `load_suite`.

    Attributes:
        name: That of its file.
        groups: Names of groups → tasks, whose plain mean is the group's figure.
        average: Name of the plain mean over all tasks; None for a part of a suite, whose mean is another figure.
        include: Folder with further tasks, beside the suite's file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: SuiteName
    about: str = ""
    tasks: list[SuiteTask] = Field(min_length=1)
    groups: dict[str, list[str]] = {}
    average: str | None = "Avg."
    include: Path | None = None

    @model_validator(mode="after")
    def names_fit_together(self) -> "Suite":
        names = [task.task for task in self.tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} stands twice under tasks")
        if unknown := sorted({name for group in self.groups.values() for name in group} - set(names)):
            raise ValueError(f"groups name {', '.join(unknown)}, which is not among the tasks")
        return self

    def only(self, tasks: Iterable[str]) -> "Suite":
        """With these tasks alone, and a name that says so; all if none are named. Raises SettingsError for an unknown one.

        Groups that miss a task are gone, and so is the average.
        """
        wanted = set(tasks)
        names = [task.task for task in self.tasks]
        if unknown := sorted(wanted - set(names)):
            raise SettingsError(f"suite {self.name} has no task {', '.join(unknown)}; it has {', '.join(names)}")
        if not wanted or wanted == set(names):
            return self
        left = [task for task in self.tasks if task.task in wanted]
        name = "-".join([self.name, *(task.task for task in left)])
        if len(name) > _LONGEST_NAME:
            name = f"{self.name}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        kept = {name: members for name, members in self.groups.items() if wanted.issuperset(members)}
        return self.model_copy(update={"name": name, "tasks": left, "groups": kept, "average": None})

    @property
    def running_code(self) -> list[str]:
        """Tasks that run programs which the model writes."""
        return [task.task for task in self.tasks if task.runs_code]

    def recipe(self) -> dict[str, Any]:
        """What of it decides the samples: its tasks, without how their figures are gathered."""
        return {task.task: {"shots": task.shots} for task in self.tasks}


def suites() -> list[str]:
    """Names of the suites that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name_or_path: str) -> Suite:
    """A suite by its name or its file's path.

    Raises SettingsError that names the file, the key and what is allowed.
    """
    named = FOLDER / f"{name_or_path}.yaml"
    path = named if name_or_path in suites() else Path(name_or_path).expanduser()
    if not path.is_file():
        raise SettingsError(
            f"there is no suite {name_or_path!r}: it is neither one of {', '.join(suites())} nor a file ({path.absolute()})"
        )
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is no YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: a suite has keys {', '.join(Suite.model_fields)}; `tasks` at least")
    if values.get("include") is not None:
        values["include"] = (path.parent / str(values["include"])).resolve()
    try:
        suite = Suite.model_validate({"name": path.stem, **values})
    except ValidationError as error:
        faults = (
            f"{path}: {'.'.join(map(str, detail['loc'])) or 'suite'}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors()
        )
        raise SettingsError("\n".join(faults)) from error
    if suite.include is not None and not suite.include.is_dir():
        raise SettingsError(f"{path}: include: there is no folder {suite.include}")
    return suite
