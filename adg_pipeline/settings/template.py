"""A settings file in which every setting stands with its default, its meaning and its bounds, and none is set."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from adg_pipeline.settings.loading import Settings, bounds_of

WIDTH = 110
HEAD = """## Settings of adg-pipeline. Every line is a default or a comment: take the first # off what you change, and off the
## section above it. `adg doctor` says what would fail, `adg plan` what a run would take.
##
## What most change first:
##   generations.backbone       the model to be tuned, a folder or a hub name; `embedded` is a tiny one to try with
##   generations.engine         vllm on GPUs, endpoint for a server, transformers to try
##   selected_subset.budget     how many examples
##   finetuned_checkpoint       how they are trained on
##
## Also as flags, for one run and those after it: adg run --set generations.samples=7
"""
ARMS = """#arms:
#  # Ways to make a subset beside the built-in ones (`adg arms`): a name, and what of selected_subset differs.
#  small: {budget: 500}
"""


def settings_template() -> str:
    """The text of an ``adg.yaml``; with the first # of each line taken off it holds the defaults."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items() if name != "arms"}
    parts = ["\n".join(_section(name, section)) for name, section in sections.items()]
    return "\n\n".join([HEAD.rstrip(), *parts, ARMS.rstrip()]) + "\n"


def _section(name: str, section: Any) -> Iterator[str]:
    yield from _comment(section.__doc__.splitlines()[0], 0)
    yield f"#{name}:"
    for field_name, field in section.model_fields.items():
        yield from _setting(field_name, field, 1)


def _setting(name: str, field: FieldInfo, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        yield f"#{indent}{name}:"
        for inner, of_inner in field.annotation.model_fields.items():
            yield from _setting(inner, of_inner, depth + 1)
        return
    allowed = ", ".join([*_choices(field.annotation), *bounds_of(field)])
    yield from _comment(f"{field.description or ''}{f' [{allowed}]' if allowed else ''}", depth)
    yield f"#{indent}{name}: {_on_one_line(field.get_default(call_default_factory=True))}"


def _on_one_line(value: Any) -> str:
    text = yaml.safe_dump(json.loads(json.dumps(value)), default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _comment(text: str, depth: int) -> Iterator[str]:
    start = f"#{'  ' * depth}# "
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [_on_one_line(value) for value in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]
