"""The pipeline's settings: one section per stage, read from ``adg.yaml`` and overridden with ``section.key=value``.

The file is optional: every field has a default. It is looked for at ``$ADG_CONFIG``, else ``adg.yaml`` in the working
directory. `launchpad_schema` turns a section into the schema that Dagster's launchpad shows, with these values as the
defaults, so that the UI, the sensors and the command line start from one truth.
"""

import copy
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator

from adg_pipeline.config import (
    BinConfig,
    EmbeddingConfig,
    GenerationConfig,
    RawPoolConfig,
    ScoreConfig,
    Section,
    SelectionConfig,
    SensorConfig,
    TrainingConfig,
)

DEFAULT_FILE = "adg.yaml"
SectionType = TypeVar("SectionType", bound=Section)


class SettingsError(ValueError):
    """A setting is unknown or out of bounds; the message names the file or option, the field and the bounds."""


class Settings(BaseModel):
    """All sections. Each is the configuration of the asset (or assets) of that name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw_pool: RawPoolConfig = RawPoolConfig()
    generations: GenerationConfig = GenerationConfig()
    embeddings: EmbeddingConfig = EmbeddingConfig()
    divergence_scores: ScoreConfig = ScoreConfig()
    semantic_bins: BinConfig = BinConfig()
    selected_subset: SelectionConfig = SelectionConfig()
    finetuned_checkpoint: TrainingConfig = TrainingConfig()
    sensors: SensorConfig = SensorConfig()

    @model_validator(mode="after")
    def sections_fit_together(self) -> "Settings":
        samples = self.generations.samples
        if self.selected_subset.min_distinct_answers > samples:
            raise ValueError(
                f"selected_subset.min_distinct_answers is {self.selected_subset.min_distinct_answers}, but only "
                f"generations.samples = {samples} answers are drawn: nothing could be selected"
            )
        return self

    def run_config(self, asset_names: Iterable[str]) -> dict[str, Any]:
        """Run configuration that spells out these settings for the given assets."""
        ops = {}
        for name in asset_names:
            section = getattr(self, ASSET_SECTIONS[name])
            ops[name] = {"config": section.model_dump(mode="json")}
        return {"ops": ops}


# Both embedding assets share one section: answers and instructions live in the same space.
ASSET_SECTIONS = {
    "raw_pool": "raw_pool",
    "generations": "generations",
    "answer_embeddings": "embeddings",
    "instruction_embeddings": "embeddings",
    "divergence_scores": "divergence_scores",
    "semantic_bins": "semantic_bins",
    "selected_subset": "selected_subset",
    "finetuned_checkpoint": "finetuned_checkpoint",
}


def load_settings(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Settings:
    """Settings from a YAML file and ``section.key=value`` overrides.

    Raises SettingsError, which names the file or the override, the field, what was given and what is allowed.
    """
    file = Path(path or os.environ.get("ADG_CONFIG") or DEFAULT_FILE)
    values: dict[str, Any] = {}
    if file.exists():
        values = _read(file)
    elif path is not None or os.environ.get("ADG_CONFIG"):
        raise SettingsError(f"{file}: no such settings file")
    _validated(values, str(file))  # first alone, so that a fault of the file is not blamed on an override
    given = list(overrides)
    if not given:
        return _validated(values, str(file))
    for override in given:
        _apply(values, override)
    return _validated(values, f"--set {' '.join(given)}")


def launchpad_schema(section: Section) -> Any:
    """Dagster config schema of a section's type, with this section's values as the defaults."""
    fields: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        with_default = copy.copy(field)
        with_default.default = getattr(section, name)
        fields[name] = (field.annotation, with_default)
    return create_model(type(section).__name__, __base__=type(section), **fields).to_config_schema()


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{file}: can't be read as YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{file}: expected sections ({', '.join(Settings.model_fields)}), found {values!r}")
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or len(parts) < 2:
        raise SettingsError(f"--set {override}: expected section.key=value, for example selected_subset.budget=500")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {override}: the value is not YAML: {error}") from error
    place = values
    for part in parts[:-1]:
        if not isinstance(place.setdefault(part, {}), dict):
            raise SettingsError(f"--set {override}: {part} is not a section")
        place = place[part]
    place[parts[-1]] = value


def _validated(values: dict[str, Any], origin: str) -> Settings:
    try:
        return Settings.model_validate(copy.deepcopy(values))
    except ValidationError as error:
        faults = [_explain(detail) for detail in error.errors()]
        raise SettingsError(f"{origin}: " + "; ".join(faults)) from error


def _explain(detail: Any) -> str:
    field = ".".join(str(part) for part in detail["loc"]) or "settings"
    if detail["type"] == "extra_forbidden":
        section = Settings.model_fields.get(str(detail["loc"][0])) if len(detail["loc"]) > 1 else None
        known = getattr(section.annotation, "model_fields", {}) if section else Settings.model_fields
        return f"{field}: unknown key; known here: {', '.join(known)}"
    given = f" (given: {detail['input']!r})" if detail["loc"] else ""
    return f"{field}: {detail['msg'].removeprefix('Value error, ')}{given}"
