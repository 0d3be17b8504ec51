"""Alpaca: instruction, optional input, output; Dolly's context and response; LIMA's history of [user, assistant]."""

from collections.abc import Set
from typing import Any

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.formats import names
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, as_text, describe, missing
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.draft import Draft, answer_of, context_of, conversation, history_of, one_of, single
from adg_pipeline.formats.shapes.turns import read_turns

EXPECTED = "instruction, input (may be left out), output; history and system if there are any"
# Beside an instruction a question is what it is about.
_QUESTIONS = ("question", "query", "problem")
_ASKED = tuple(name for name in names.ASKED if name not in _QUESTIONS)


def matches(keys: Set[str]) -> bool:
    return "instruction" in keys and not keys.isdisjoint(names.ANSWERED)


def drafts(record: Record) -> list[Draft]:
    """With history the record is a conversation, whose last user turn is instruction and input."""
    if record.peek("instruction") is None:
        raise missing(record, ("instruction",))
    instruction = as_text(record.get(one_of(record, _ASKED)), "instruction")
    input, output, turns = context_of(record, _QUESTIONS), answer_of(record), history(record)
    if not turns:
        return [single(record, instruction, input, output)]
    last = (Message("user", user_turn(instruction, input)), Message("assistant", output))
    return [conversation(record, [*turns, *last])]


def history(record: Record) -> list[Message]:
    """Earlier turns: a list of [user, assistant], or of turns."""
    turns = history_of(record)
    if not turns:
        return []
    if not isinstance(turns, list):
        raise Unusable("malformed conversation", f"'history' is {describe(turns)}, not a list of [user, assistant]")
    if all(isinstance(turn, dict) for turn in turns):
        return read_turns(turns, "history", record)
    return [turn for place, pair in enumerate(turns) for turn in _turns(pair, f"history[{place}]")]


def _turns(pair: Any, name: str) -> tuple[Message, Message]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Unusable("malformed conversation", f"'{name}' is not a list of two texts, [user, assistant]")
    return Message("user", as_text(pair[0], name)), Message("assistant", as_text(pair[1], name))
