"""From the records of a pool to the examples of a subset: how many each step leaves out, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

PREFERRED = "others were preferred"
#: step, examples: how many it begins with. left_out: reason → how many it leaves out. The next step begins with the rest.
Step = dict[str, Any]


def funnel(
    records: int, rejected: Mapping[str, int], left_out: Mapping[str, int], eligible: int, selected: int
) -> list[Step]:
    """The steps of one selection.

    Args:
        records: read from the pool's files.
        rejected: records that are no example, by reason.
        left_out: examples that can't be selected, by reason.
        eligible: examples that could be.
        selected: examples that are.
    """
    examples = records - sum(rejected.values())
    preferred = {PREFERRED: eligible - selected} if eligible > selected else {}
    return [
        _step("records read", records, rejected),
        _step("examples", examples, left_out),
        _step("eligible", eligible, preferred),
        _step("selected", selected, {}),
    ]


def in_words(steps: Sequence[Step]) -> str:
    """One line: what each step begins with."""
    return " → ".join(f"{step['examples']:,} {step['step']}" for step in steps)


def _step(name: str, examples: int, left_out: Mapping[str, int]) -> Step:
    most_first = sorted(left_out.items(), key=lambda reason: (-reason[1], reason[0]))
    return {"step": name, "examples": examples, "left_out": dict(most_first)}
