"""Our own JSONL: the columns of `RAW_POOL_SCHEMA`, as `split` writes them.

Ids and sources are kept. `content_hash` and `row` are not read: they are made anew, from the text and its place.
"""

from collections.abc import Mapping, Set
from typing import Any

from adg_pipeline.formats.fields import as_text, first_field
from adg_pipeline.formats.shapes.draft import Draft, conversation, read_turns

EXPECTED = "this pipeline's own columns: example_id, source, instruction, input, output, messages, content_hash, row"


def matches(keys: Set[str]) -> bool:
    return keys >= {"example_id", "instruction", "output", "content_hash"}


def drafts(record: Mapping[str, Any]) -> list[Draft]:
    if record.get("messages"):
        return [conversation(read_turns(record["messages"], "messages"))]
    instruction, output = first_field(record, ("instruction",)), first_field(record, ("output",))
    return [Draft(instruction, as_text(record.get("input"), "input"), output)]
