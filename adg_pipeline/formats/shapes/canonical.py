"""Our own JSONL: the columns of `RAW_POOL_SCHEMA`, as `split` writes them.

Ids and sources are kept. `content_hash` and `row` are not read: they are made anew, from the text and its place.
"""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from adg_pipeline.formats.fields import as_text, first_field
from adg_pipeline.formats.schema import TURN_FIELDS, Message
from adg_pipeline.formats.shapes.draft import Draft, conversation, read_turns

EXPECTED = "this pipeline's own columns: example_id, source, instruction, input, output, messages, tools, …"


def matches(keys: Set[str]) -> bool:
    return keys >= {"example_id", "instruction", "output", "content_hash"}


def drafts(record: Mapping[str, Any]) -> list[Draft]:
    instruction, output = first_field(record, ("instruction",)), first_field(record, ("output",))
    if not record.get("messages"):
        return [Draft(instruction, as_text(record.get("input"), "input"), output)]
    plain = [{name: turn.get(name) for name in ("role", "content")} for turn in record["messages"]]
    turns = [_whole(turn, row) for turn, row in zip(read_turns(plain, "messages"), record["messages"], strict=True)]
    draft = conversation(turns)
    # Written as conversations because more than two plain turns is to be said of them.
    return [replace(draft, output=output, messages=tuple(turns), tools=as_text(record.get("tools"), "tools"))]


def _whole(turn: Message, row: Mapping[str, Any]) -> Message:
    more = {name: as_text(row.get(name), name) for name in TURN_FIELDS[2:-1]}
    return replace(turn, **more, learn=row.get("learn") is not False)
