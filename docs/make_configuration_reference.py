"""Writes docs/configuration.md from the sections of `adg_pipeline.settings.sections`. Run it as a script."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from adg_pipeline.settings.loading import ASSET_SECTIONS, Settings, bounds_of

TARGET = Path(__file__).with_name("configuration.md")

# Options of an engine that `recipes.generations_recipe` adds to the section's own RECIPE.
ENGINE_RECIPE = {"generations.vllm.batch_invariant", "generations.endpoint.model"}

INTRODUCTION = """# Configuration

<!-- Made by `python docs/make_configuration_reference.py`: change adg_pipeline/settings/sections/, not this page. -->

Settings are read from `adg.yaml` in the working directory, or from the file that `$ADG_CONFIG` names. Every setting has a
default, so the file may hold only what you change, or be missing. Any of them can be given as a flag, and
[then holds](operations.md#which-settings-hold): `adg run --set generations.samples=7 --set selected_subset.weight=0.5`.
A misspelt key or a value out of bounds is refused, naming the file, the key and what is allowed. The
launchpad of Dagster's UI shows the same fields.

```yaml
# adg.yaml
generations:
  backbone: models/Meta-Llama-3-8B
  engine: vllm
  vllm: {tensor_parallel: 2}
selected_subset: {budget: 5000}
```

The column *recomputes* says whether a change makes stored results of this stage stale, and so those of the stages after
it. `adg status` then names the setting, before and after. Settings with "no" concern speed, memory and patience.

"""

NOTES = {
    "generations": "The backbone counts by its content, not by its path. With the endpoint engine it counts by the name "
    "that the server is asked for. A larger `samples` asks for the new samples only.",
    "fingerprints": "Computed for arms whose `selected_subset` reads them ([Curation](curation.md)), in a second for tens of "
    "thousands of examples.",
    "embeddings": "One section for answer_embeddings and instruction_embeddings. `layers`, `pool` and `max_tokens` "
    "recompute with hidden_state only.",
    "semantic_bins": "A change of these fits new centroids, in seconds to minutes. What `refit_drift` and "
    "`refit_growth` allow is looked at whenever the bins are computed.",
    "selected_subset": "A change of these selects again, in seconds. Nothing is sampled, embedded or scored again.",
    "finetuned_checkpoint": "A change of these trains again when a training is asked for.",
    "benchmark_results": "A change of these evaluates again when an evaluation is asked for, and results before and after it "
    "are never compared ([Benchmarks](evaluation.md)). `batch_size` counts with `hf` only.",
    "comparison_report": "Nothing is trained by these alone: `adg compare` does that ([Comparing arms](comparison.md)).",
}

ARMS = """## arms

Named ways to make a subset: a name, and the settings of `selected_subset` in which it differs ([Arms](arms.md)).

```yaml
# adg.yaml
arms:
  small: {budget: 500}
  hard: {selector: ifd, bins: none, budget: 1000}
```

An arm's settings stand between `selected_subset` and what flags ask for. The name of a built-in arm changes that one.
"""


def reference() -> str:
    """The whole page."""
    fields = {name: field.annotation for name, field in Settings.model_fields.items() if name != "arms"}
    return INTRODUCTION + "\n".join([*(_section(name, section) for name, section in fields.items()), ARMS])


def _section(name: str, section: Any) -> str:
    rows = "\n".join(
        " | ".join(row).join(("| ", " |")) for row in _rows(name, section, section.RECIPE + section.RECIPE_IF_SET)
    )
    assets = [asset for asset, of_section in ASSET_SECTIONS.items() if of_section == name and asset != name]
    used_by = f" Used by {' and '.join(assets)}." if assets else ""
    note = f"{NOTES[name]}\n\n" if name in NOTES else ""
    return (
        f"## {name}\n\n{section.__doc__.splitlines()[0]}{used_by}\n\n{note}"
        f"| key | type | default | bounds | meaning | recomputes |\n|---|---|---|---|---|---|\n{rows}\n"
    )


def _rows(prefix: str, section: type[BaseModel], recipe: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        key = f"{prefix}.{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _rows(key, field.annotation, ())
            continue
        recomputes = "yes" if name in recipe or key in ENGINE_RECIPE else "no"
        meaning = _cell(field.description or "")
        yield f"`{key}`", _type(field.annotation), _default(field), _bounds(field), meaning, recomputes


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join("null" if kind is type(None) else _type(kind) for kind in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "mapping"
    names: Mapping[Any, str] = {int: "integer", float: "number", bool: "true or false", str: "text"}
    return names[annotation]


def _default(field: FieldInfo) -> str:
    return f"`{json.dumps(field.default)}`" if not isinstance(field.default, str) else f"`{field.default}`"


def _bounds(field: FieldInfo) -> str:
    return ", ".join(bounds_of(field)).replace(f"{2**31:,}", "2³¹")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    sys.stderr.write(f"{TARGET}\n")
