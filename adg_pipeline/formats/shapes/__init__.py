"""What the keys of a record mean: one module per family, each with `matches` and `drafts`.

`SHAPES` is in the order in which they are tried: the first whose keys a record has is its shape.
"""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record
from adg_pipeline.formats.shapes import (
    alpaca,
    canonical,
    flan_cot,
    messages,
    preference,
    prompt_completion,
    self_instruct,
    sharegpt,
    tree,
)
from adg_pipeline.formats.shapes.draft import Draft
from adg_pipeline.settings.sections import PoolFormat


@dataclass(frozen=True)
class Shape:
    """matches: whether a record with these keys (of values that aren't null) has this shape. drafts: what it says."""

    matches: Callable[[Set[str]], bool]
    drafts: Callable[[Record], Iterable[Draft | Unusable]]
    expected: str


SHAPES: dict[PoolFormat, Shape] = {
    "canonical": Shape(canonical.matches, canonical.drafts, canonical.EXPECTED),
    "preference": Shape(preference.matches, preference.drafts, preference.EXPECTED),
    "tree": Shape(tree.matches, tree.drafts, tree.EXPECTED),
    "sharegpt": Shape(sharegpt.matches, sharegpt.drafts, sharegpt.EXPECTED),
    "messages": Shape(messages.matches, messages.drafts, messages.EXPECTED),
    "self_instruct": Shape(self_instruct.matches, self_instruct.drafts, self_instruct.EXPECTED),
    "alpaca": Shape(alpaca.matches, alpaca.drafts, alpaca.EXPECTED),
    "flan_cot": Shape(flan_cot.matches, flan_cot.drafts, flan_cot.EXPECTED),
    "prompt_completion": Shape(prompt_completion.matches, prompt_completion.drafts, prompt_completion.EXPECTED),
}


def shape_of(record: Record) -> PoolFormat | None:
    """The first shape whose keys the record has."""
    return next((name for name, shape in SHAPES.items() if shape.matches(record.names)), None)


def expected_shapes() -> str:
    """Every shape with its keys, for messages."""
    return "; ".join(f"{name}: {shape.expected}" for name, shape in SHAPES.items())
