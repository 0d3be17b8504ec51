"""The pipeline's settings: one section per stage, read from ``adg.yaml`` and overridden with ``section.key=value``.

The file is optional: every field has a default. It is looked for at ``$ADG_CONFIG``, else ``adg.yaml`` in the working
directory. `adg_pipeline.settings.launchpad` shows the same values in Dagster's launchpad, so that the UI, the sensors and
the command line start from one truth.
"""

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic.fields import FieldInfo

from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.sections import (
    BinConfig,
    ComparisonConfig,
    EmbeddingConfig,
    EvaluationConfig,
    FingerprintConfig,
    GenerationConfig,
    RawPoolConfig,
    ReferenceLossConfig,
    ScoreConfig,
    SelectionConfig,
    SensorConfig,
    TrainingConfig,
)
from adg_pipeline.settings.yaml_file import SettingsFile, read_settings_file

DEFAULT_FILE = "adg.yaml"
# It names folders and partitions.
ArmName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class Settings(BaseModel):
    """All sections. Each is the configuration of the asset (or assets) of that name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw_pool: RawPoolConfig = RawPoolConfig()
    generations: GenerationConfig = GenerationConfig()
    embeddings: EmbeddingConfig = EmbeddingConfig()
    reference_losses: ReferenceLossConfig = ReferenceLossConfig()
    fingerprints: FingerprintConfig = FingerprintConfig()
    divergence_scores: ScoreConfig = ScoreConfig()
    semantic_bins: BinConfig = BinConfig()
    selected_subset: SelectionConfig = SelectionConfig()
    finetuned_checkpoint: TrainingConfig = TrainingConfig()
    benchmark_results: EvaluationConfig = EvaluationConfig()
    comparison_report: ComparisonConfig = ComparisonConfig()
    sensors: SensorConfig = SensorConfig()
    #: Named ways to make a subset: fields of `selected_subset` in which each differs.
    arms: dict[ArmName, dict[str, Any]] = {}

    @model_validator(mode="after")
    def sections_fit_together(self) -> "Settings":
        samples = self.generations.samples
        if self.selected_subset.min_distinct_answers > samples:
            raise ValueError(
                f"selected_subset.min_distinct_answers is {self.selected_subset.min_distinct_answers}, but only "
                f"generations.samples = {samples} answers are drawn: nothing could be selected"
            )
        embedding = self.embeddings
        if (
            embedding.embedder == "hidden_state"
            and embedding.model == "auto"
            and not self.generations.backbone_is_known
        ):
            raise ValueError(
                "embeddings.embedder hidden_state reads the backbone, and generations.backbone doesn't say which model the "
                "endpoint serves: set generations.backbone to its directory or hub name, or embeddings.model"
            )
        training = self.finetuned_checkpoint
        if self.generations.template_options and "chat" not in (self.generations.template, training.template):
            raise ValueError(
                "generations.template_options are switches of a chat template: set generations.template: chat"
            )
        if training.template_options and training.asked_as(self.generations)["template"] != "chat":
            raise ValueError(
                "finetuned_checkpoint.template_options are switches of a chat template: "
                "set finetuned_checkpoint.template: chat"
            )
        return self

    def run_config(self, asset_names: Iterable[str]) -> dict[str, Any]:
        """Run configuration that spells out these settings for the given assets; some have none of their own."""
        sections = {name: getattr(self, ASSET_SECTIONS[name]) for name in asset_names if name in ASSET_SECTIONS}
        return {"ops": {name: {"config": section.model_dump(mode="json")} for name, section in sections.items()}}


# Both embedding assets share one section: answers and instructions live in the same space.
ASSET_SECTIONS = {
    "raw_pool": "raw_pool",
    "generations": "generations",
    "answer_embeddings": "embeddings",
    "instruction_embeddings": "embeddings",
    "reference_losses": "reference_losses",
    "fingerprints": "fingerprints",
    "divergence_scores": "divergence_scores",
    "semantic_bins": "semantic_bins",
    "selected_subset": "selected_subset",
    "finetuned_checkpoint": "finetuned_checkpoint",
    "benchmark_results": "benchmark_results",
    "comparison_report": "comparison_report",
}


@dataclass(frozen=True)
class Origins:
    """Where settings come from, in the words that a fault is told with."""

    file: SettingsFile
    overrides: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        """``adg.yaml, line 3``, ``--set generations.samples=1``, or ``default``, of a setting's dotted name."""
        below = next((written for key, written in self.overrides.items() if key.startswith(f"{name}.")), None)
        if below is not None:
            return below
        while name:
            if name in self.overrides:
                return self.overrides[name]
            if name in self.file.lines:
                return f"{self.file.path}, line {self.file.lines[name]}"
            name = name.rpartition(".")[0]
        return "default"

    def given(self, name: str) -> bool:
        """Whether somebody set it."""
        return name in self.overrides or name in self.file.lines

    @property
    def all(self) -> str:
        """All that was given, for a fault of no single setting."""
        return " with ".join([*([str(self.file.path)] if self.file.values else []), *self.overrides.values()])


def load_settings(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Settings:
    """Settings from a YAML file and ``section.key=value`` overrides.

    Raises SettingsError, which names the file and line or the override, the field, what was given and what is allowed.
    """
    # The file first alone, so that a fault of it is not blamed on an override.
    _, origins = load_file(path)
    return override(origins, {override: f"--set {override}" for override in overrides})[0]


def load_file(path: str | Path | None = None) -> tuple[Settings, Origins]:
    """Settings of a YAML file alone, and where each comes from."""
    named = path or os.environ.get("ADG_CONFIG")
    file = Path(named or DEFAULT_FILE)
    if file.exists():
        given = read_settings_file(file)
    elif named:
        raise SettingsError(f"{file}: no such settings file")
    else:
        given = SettingsFile(file)
    origins = Origins(given)
    return _validated(given.values, origins), origins


def override(of_file: Origins, overrides: Mapping[str, str]) -> tuple[Settings, Origins]:
    """The file's settings with overrides, the later the stronger: ``section.key=value`` → how the user wrote it."""
    values = copy.deepcopy(of_file.file.values)
    for override, written in overrides.items():
        _apply(values, override, written)
    names = {override.partition("=")[0]: written for override, written in overrides.items()}
    origins = Origins(of_file.file, names)
    return _validated(values, origins), origins


def _apply(values: dict[str, Any], override: str, written: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or len(parts) < 2:
        raise SettingsError(f"{written}: expected section.key=value, for example selected_subset.budget=500")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{written}: the value is not YAML: {error}") from error
    place = values
    for part in parts[:-1]:
        if not isinstance(place.setdefault(part, {}), dict):
            raise SettingsError(f"{written}: {part} is not a section")
        place = place[part]
    place[parts[-1]] = value


def _validated(values: dict[str, Any], origins: Origins) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(detail, origins) for detail in error.errors())) from error
    if faults := list(_arm_faults(settings, origins)):
        raise SettingsError("; ".join(faults))
    return settings


def _arm_faults(settings: Settings, origins: Origins) -> Iterator[str]:
    """What is wrong with the settings in which an arm differs: they are those of `selected_subset`."""
    for name, differs in settings.arms.items():
        try:
            SelectionConfig.model_validate({**settings.selected_subset.model_dump(), **differs})
        except ValidationError as error:
            for detail in error.errors():
                yield _explain({**detail, "loc": ("arms", name, *detail["loc"])}, origins)


def _explain(detail: Any, origins: Origins) -> str:
    name = dotted(detail)
    if not name:
        return f"{origins.all}: settings: {detail['msg'].removeprefix('Value error, ')}"
    origin = origins.of(name)
    if detail["loc"][-1] == "[key]":
        return (
            f"{origin}: arms: a name has letters, digits, _ and -, a letter or digit first (given: {detail['input']!r})"
        )
    if detail["type"] == "extra_forbidden":
        known = _fields(detail["loc"][:-1])
        return f"{origin}: {name}: unknown key; known here: {', '.join(known)}"
    return f"{origin}: {fault_of(detail, name, _fields(detail['loc'][:-1]))}"


def fault_of(detail: Any, name: str, fields: Mapping[str, FieldInfo]) -> str:
    known = fields.get(str(detail["loc"][-1]))
    bounds = ", ".join(bounds_of(known)) if known else ""
    # Both ends: a message of pydantic names the one that was passed.
    allowed = f"; allowed: {bounds}" if bounds else ""
    return f"{name}: {detail['msg'].removeprefix('Value error, ')} (given: {detail['input']!r}{allowed})"


def dotted(detail: Any) -> str:
    return ".".join(str(part) for part in detail["loc"])


def _fields(path: Sequence[Any]) -> dict[str, FieldInfo]:
    """Fields of the section at a path, or of what an arm may set; none where there is no such section."""
    if len(path) == 2 and path[0] == "arms":
        return dict(SelectionConfig.model_fields)
    section: Any = Settings
    for part in path:
        known = getattr(section, "model_fields", {})
        section = known[part].annotation if part in known else None
    return dict(getattr(section, "model_fields", {}))


def bounds_of(field: FieldInfo) -> Iterator[str]:
    """The bounds of a number, in words such as ``≥ 1``."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    for bound in field.metadata:
        for name, sign in signs.items():
            if hasattr(bound, name):
                yield f"{sign} {getattr(bound, name):,}"
