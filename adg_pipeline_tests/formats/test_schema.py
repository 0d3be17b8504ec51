"""What an example's identity is made of."""

import pyarrow as pa
import pytest

from adg_pipeline.formats.schema import RAW_POOL_SCHEMA, Example, Message, canonical_content, content_hash

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
    example = Example("1", "s", "c", "", "d", (Message("user", "c"), Message("assistant", "d", "r")), "[]", "h", 1)
    assert pa.Table.from_pylist([example.to_row()], schema=RAW_POOL_SCHEMA).to_pylist() == [example.to_row()]
