"""OpenAI chat: `messages` of role and content; tool calls and `tools` are kept as text."""

from collections.abc import Mapping, Set
from typing import Any

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import as_text, keys_of
from adg_pipeline.formats.shapes.draft import Draft, conversation, read_turns

EXPECTED = "messages, a list of {role, content}"


def matches(keys: Set[str]) -> bool:
    return "messages" in keys


def drafts(record: Mapping[str, Any]) -> list[Draft]:
    if record.get("messages") is None:
        raise Unusable("missing field", f"no 'messages' among {keys_of(record)}")
    turns = read_turns(record["messages"], "messages")
    return [conversation(turns, as_text(record.get("system"), "system"), record.get("tools"))]
