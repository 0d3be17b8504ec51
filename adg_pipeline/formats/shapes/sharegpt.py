"""ShareGPT: `conversations` of from and value; a function call is the assistant's turn, an observation the tool's."""

from collections.abc import Mapping, Set
from typing import Any

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import as_text, keys_of
from adg_pipeline.formats.shapes.draft import Draft, conversation, read_turns

EXPECTED = "conversations, a list of {from, value}; system and tools if there are any"


def matches(keys: Set[str]) -> bool:
    return "conversations" in keys


def drafts(record: Mapping[str, Any]) -> list[Draft]:
    if record.get("conversations") is None:
        raise Unusable("missing field", f"no 'conversations' among {keys_of(record)}")
    turns = read_turns(record["conversations"], "conversations")
    return [conversation(turns, as_text(record.get("system"), "system"), record.get("tools"))]
