"""Conversations as lists of turns: OpenAI's `messages`, ShareGPT's `conversations`, and other names for the list.

A function call is the assistant's turn, what came back from it the tool's. In UltraChat's `data` the turns are texts.
"""

from collections.abc import Set

from adg_pipeline.formats import names
from adg_pipeline.formats.fields import Record, missing
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.draft import Draft, answer_of, conversation, pass_over_told, refuse_context
from adg_pipeline.formats.shapes.turns import read_turns

EXPECTED = "messages, a list of {role, content}"
_OF_TEXTS = ("data", "dialog", "dialogue", "conversation", "turns", "chat")


def matches(keys: Set[str]) -> bool:
    return "conversations" not in keys and not keys.isdisjoint(names.CONVERSATION)


def drafts(record: Record) -> list[Draft]:
    turns = turns_of(record)
    if turns and turns[-1].role in ("user", "tool") and record.filled(names.ANSWERED):
        turns.append(Message("assistant", answer_of(record)))
    return [conversation(record, turns)]


def turns_of(record: Record) -> list[Message]:
    """The turns under the first name that has any. Unusable where a context beside them isn't told in them."""
    name = next((name for name in record.filled(names.CONVERSATION)), "")
    name = name or next((name for name in names.CONVERSATION if record.peek(name) is not None), "")
    if not name:
        raise missing(record, names.CONVERSATION[:3])
    turns = read_turns(record.get(name), name, record, alternating=name in _OF_TEXTS)
    refuse_context(record, turns)
    pass_over_told(record, turns)
    return turns
