"""What an example's identity is made of."""

import json

import msgspec
import pytest

from adg_pipeline.formats.schema import RAW_POOL_SCHEMA, Example, Message, canonical_content, content_hash
from adg_pipeline.formats.table import to_batch

TURNS = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d"))


def test_plain_examples_keep_the_hashes_that_stored_answers_were_paid_for_under():
    assert content_hash(canonical_content("Écris.", "x", "Voilà.", None)) == "199b579291d3c9cb5dad97d2625ee33b"
    assert canonical_content("c", "", "d", TURNS) == (
        b'["c","","d",[["user","a"],["assistant","b"],["user","c"],["assistant","d"]]]'
    )


@pytest.mark.parametrize(
    "field",
    [{"reasoning": "r"}, {"tool_calls": "[]"}, {"tool_name": "n"}, {"tool_call_id": "1"}, {"learn": False}],
)
def test_every_field_of_a_turn_counts_for_identity(field):
    changed = (*TURNS[:1], Message("assistant", "b", **field), *TURNS[2:])
    assert canonical_content("c", "", "d", changed) != canonical_content("c", "", "d", TURNS)


def test_tools_count_for_identity():
    assert canonical_content("c", "", "d", TURNS, "[1]") != canonical_content("c", "", "d", TURNS)


def test_an_examples_row_is_what_the_table_holds():
    turns = (Message("user", "c"), Message("assistant", "d", "r"))
    example = Example("1", "s", "c", "", "d", turns, "[]", "h", 1)
    row = {**msgspec.structs.asdict(example), "messages": [turn.to_row() for turn in turns]}
    batch = to_batch([example, msgspec.structs.replace(example, messages=None)])
    assert batch.schema == RAW_POOL_SCHEMA
    assert batch.to_pylist() == [row, {**row, "messages": None}]


def test_canonical_content_is_what_the_standard_library_writes():
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    expected = json.dumps([text, "", "d", None], ensure_ascii=False, separators=(",", ":")).encode()
    assert canonical_content(text, "", "d", None) == expected
