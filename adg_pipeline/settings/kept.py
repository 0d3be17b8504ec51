"""Which value of a setting holds: what was made is renewed with the settings it was made with.

    a flag of this run  >  the value kept from the run that made it, while adg.yaml is unchanged  >  adg.yaml  >  default

A value that was asked for by flag (or in Dagster's launchpad) is kept with what adg.yaml said of that setting at the
time: nothing, or a value. It holds until adg.yaml says something else of it, or another flag is given. All of it is pure:
`adg_pipeline.store.kept` has where it is stored.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from adg_pipeline.settings.loading import Settings

# Setting, by its dotted name → {"value": …, "adg.yaml": …}, the second missing where the file didn't name it.
Kept = Mapping[str, Mapping[str, Any]]
FILE = "adg.yaml"

# Asked for once, not a way to make something.
MOMENTARY = {
    "semantic_bins.refit", "benchmark_results.limit", "benchmark_results.tasks", "benchmark_results.run_code",
}  # fmt: skip


def values(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted name, as plain JSON values."""
    return dict(_leaves(settings, settings.model_dump(mode="json")))


def spoken(configured: Settings) -> dict[str, Any]:
    """The settings that adg.yaml names, of settings that were read from it alone."""
    return dict(_leaves(configured, configured.model_dump(mode="json", exclude_unset=True)))


def still_held(kept: Kept, said: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Those of the kept settings of which adg.yaml says what it said then. said: as from `spoken`."""
    unsaid = object()
    return {key: one for key, one in kept.items() if one.get(FILE, unsaid) == said.get(key, unsaid)}


def to_keep(asked: Mapping[str, Any], said: Mapping[str, Any], section: str) -> dict[str, dict[str, Any]]:
    """The settings of a section that differ from what adg.yaml, or else the default, gives.

    asked: as from `values`, at least those of the section.
    """
    configured = {**values(Settings()), **said}
    return {
        key: {"value": value, **({FILE: said[key]} if key in said else {})}
        for key, value in asked.items()
        if key.startswith(f"{section}.") and key not in MOMENTARY and value != configured.get(key)
    }


def in_words(key: str, one: Mapping[str, Any]) -> str:
    """``selected_subset.budget = 40 (adg.yaml: 100)``."""
    configured = f"{FILE}: {one[FILE]}" if FILE in one else f"not in {FILE}, default {values(Settings()).get(key)}"
    return f"{key} = {one['value']} ({configured})"


def as_override(key: str, one: Mapping[str, Any]) -> str:
    """``section.key=value``, the value as YAML."""
    return f"{key}={json.dumps(one['value'])}"


def _leaves(section: BaseModel, dumped: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in dumped.items():
        below = getattr(section, name)
        if isinstance(below, BaseModel):
            yield from _leaves(below, value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
