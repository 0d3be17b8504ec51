"""What every export format is made of: how a row becomes a record, and what stands beside the file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.errors import PipelineError

Row = Mapping[str, Any]
Turn = Mapping[str, Any]
COLUMNS = ("example_id", "source", "instruction", "input", "output", "messages", "tools")


class ExportExists(PipelineError):
    """There is another export where this one would go."""


class NothingHeld(PipelineError, ValueError):
    """The format has a place for no example of the subset."""


class NotHeld(ValueError):
    """The format has no place for a part of this example. The message names the part."""


@dataclass(frozen=True)
class Format:
    """One way of writing a subset.

    suffix: of its file; none of a folder. says: what reads it, in a few words. record: a row (`COLUMNS`) as the format has
    it, raising NotHeld; None where the table itself is written. lines: JSON lines, or one JSON array. beside: texts that go
    beside the file, by name, given the folder, the data set's name and the file's. apart: what of a row the records have no
    place for, a JSON line each in a file of its own.
    """

    suffix: str
    says: str
    record: Callable[[Row], dict[str, Any]] | None = None
    lines: bool = True
    beside: Callable[[Path, str, str, bool], Mapping[str, str]] | None = None
    apart: Callable[[Row], dict[str, Any]] | None = None


def exists(place: object) -> ExportExists:
    return ExportExists(
        f"{place}: there is another export, of another subset, format or version. Export to another folder, or with "
        "--replace over it"
    )


def turns_of(row: Row) -> list[Turn]:
    """Every turn; of an instruction with its output, the two that they are."""
    if row["messages"]:
        return list(row["messages"])
    return [
        {"role": "user", "content": user_turn(row["instruction"], row["input"])},
        {"role": "assistant", "content": row["output"]},
    ]


def alternating(turns: Sequence[Turn]) -> tuple[str, list[Turn]]:
    """The system text, and turns in which the assistant's are every second one, the last included."""
    if any(turn.get("learn") is False for turn in turns):
        raise NotHeld("turns that must not be learnt")
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    spoken = [turn for turn in turns if turn["role"] != "system"]
    sides: list[Turn] = []
    for answered, group in groupby(spoken, key=lambda turn: turn["role"] == "assistant"):
        joined = list(group)
        if answered and not sides:
            sides.append({"role": "user", "content": ""})
        sides.append(joined[0] if len(joined) == 1 else _joined(joined))
    return system, sides


def _joined(turns: Sequence[Turn]) -> Turn:
    """Turns of one side as one: texts of one role, or what several tools gave back."""
    if len({turn["role"] for turn in turns}) > 1 or any(
        turn.get("tool_calls") or turn.get("reasoning") for turn in turns
    ):
        raise NotHeld("turns of one side that don't join")
    return {"role": turns[0]["role"], "content": "\n\n".join(turn["content"] for turn in turns)}
