"""Alpaca: instruction, optional input, output; Dolly's context and response; LIMA's history of [user, assistant]."""

from collections.abc import Mapping, Set
from typing import Any

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import as_text, describe, first_field
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.draft import Draft, conversation

EXPECTED = "instruction, input (may be left out), output; history and system if there are any"


def matches(keys: Set[str]) -> bool:
    return "instruction" in keys and ("output" in keys or "response" in keys)


def drafts(record: Mapping[str, Any]) -> list[Draft]:
    """With history or a system text the record is a conversation, whose last user turn is instruction and input."""
    instruction = first_field(record, ("instruction",))
    context = record.get("input") if record.get("input") is not None else record.get("context")
    input, output = as_text(context, "input"), first_field(record, ("output", "response"))
    history, system = record.get("history") or [], as_text(record.get("system"), "system")
    if not history and not system.strip():
        return [Draft(instruction, input, output)]
    if not isinstance(history, list):
        raise Unusable("malformed conversation", f"'history' is {describe(history)}, not a list of [user, assistant]")
    turns = [turn for place, pair in enumerate(history) for turn in _turns(pair, f"history[{place}]")]
    last = (Message("user", user_turn(instruction, input)), Message("assistant", output))
    return [conversation([*turns, *last], system)]


def _turns(pair: Any, name: str) -> tuple[Message, Message]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Unusable("malformed conversation", f"'{name}' is not a list of two texts, [user, assistant]")
    return Message("user", as_text(pair[0], name)), Message("assistant", as_text(pair[1], name))
