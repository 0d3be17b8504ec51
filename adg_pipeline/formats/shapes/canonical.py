"""Our own JSONL: the columns of `RAW_POOL_SCHEMA`, as `split` writes them.

Ids and sources are kept. `content_hash` and `row` are not read: they are made anew, from the text and its place.
"""

from collections.abc import Set
from typing import Any

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, as_text, describe, first_field
from adg_pipeline.formats.schema import TURN_FIELDS, Message
from adg_pipeline.formats.shapes.draft import Draft, conversation, single
from adg_pipeline.formats.shapes.turns import ROLES

EXPECTED = "this pipeline's own columns: example_id, source, instruction, input, output, messages, tools, …"


def matches(keys: Set[str]) -> bool:
    return keys >= {"example_id", "instruction", "output", "content_hash"}


def drafts(record: Record) -> list[Draft]:
    turns = record.get("messages")
    instruction, output = first_field(record, ("instruction",)), first_field(record, ("output",))
    if not turns:
        return [single(record, instruction, as_text(record.get("input"), "input"), output)]
    if not isinstance(turns, list):
        raise Unusable("malformed conversation", f"'messages' is {describe(turns)}, not a list of turns")
    return [conversation(record, [_turn(turn, f"messages[{place}]") for place, turn in enumerate(turns)])]


def _turn(turn: Any, name: str) -> Message:
    if not isinstance(turn, dict) or turn.get("role") not in ROLES:
        raise Unusable("malformed conversation", f"'{name}' is no turn of this pipeline's own")
    texts = {key: as_text(turn.get(key), f"{name}.{key}") for key in TURN_FIELDS if key != "learn"}
    return Message(**texts, learn=turn.get("learn") is not False)
