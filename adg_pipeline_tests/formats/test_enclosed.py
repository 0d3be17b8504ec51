"""Records that don't stand in an array or on lines of their own, and tables with a header."""

import gzip
import json

import pytest

from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import alpaca, convert_bytes, convert_records

RECORDS = [alpaca("a", "x", input=""), alpaca("b", "y", input="z"), alpaca("c", "w", input="")]
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
EXPECTED = convert_records(*RECORDS).examples


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "whole",
    [
        *({key: RECORDS} for key in ("data", "examples", "train", "rows", "records")),
        {"version": "1.0", "data": RECORDS},
        {"data": RECORDS, "meta": {"a": [1]}},
        {"rows": [{"row_idx": place, "row": record, "truncated_cells": []} for place, record in enumerate(RECORDS)]},
        {name: {str(place): record[name] for place, record in enumerate(RECORDS)} for name in RECORDS[0]},
        {name: [record[name] for record in RECORDS] for name in RECORDS[0]},
        {str(place): record for place, record in enumerate(RECORDS)},
        {"columns": list(RECORDS[0]), "index": [0, 1, 2], "data": [list(record.values()) for record in RECORDS]},
    ],
)
def test_the_records_are_those_of_json_lines(whole, indent, pack):
    assert convert_bytes(pack(json.dumps(whole, indent=indent).encode())).examples == EXPECTED


def test_keys_beside_the_records_are_named():
    whole = {"version": "1.0", "data": RECORDS, "made_by": "Ada"}
    assert convert_bytes(json.dumps(whole).encode()).summary.unused == {"made_by": 1, "version": 1}


def test_records_under_a_second_key_are_not_lost_without_a_word():
    converted = convert_bytes(json.dumps({"train": RECORDS, "test": RECORDS}).encode())
    assert converted.summary.accepted == 3
    assert "'test'" in converted.reasons[0]


def test_one_record_over_several_lines_is_a_record():
    assert convert_bytes(json.dumps(RECORDS[0], indent=2).encode()).summary.accepted == 1


def test_a_list_of_turns_on_each_line_is_a_conversation():
    more = [{"role": "user", "content": "And?"}, TURNS[1]]
    for lines in ([TURNS], [TURNS, more]):
        converted = convert_bytes("\n".join(map(json.dumps, lines)).encode())
        assert [example["output"] for example in converted.examples] == ["Hello"] * len(lines)
    assert convert_bytes(json.dumps([TURNS, more], indent=1).encode()).summary.accepted == 2


def test_lines_whose_first_key_holds_a_list_stay_lines():
    seeds = [
        {"instances": [{"input": "", "output": "a"}], "instruction": "Do."},
        {"instances": [{"output": "b"}], "instruction": "Go."},
    ]
    assert convert_records(*seeds).summary.accepted == 2
    talks = [{"data": ["Hi", "Hello"]}, {"data": ["Bye", "Hello"]}]
    assert convert_records(*talks).summary.accepted == 2


def test_a_broken_list_under_a_key_gives_what_came_before():
    text = json.dumps({"data": RECORDS})
    converted = convert_bytes(text[: text.rindex("{") + 5].encode())
    assert (converted.summary.accepted, converted.summary.reasons) == (2, {"broken file": 1})


@pytest.mark.parametrize(
    "text",
    [
        "instruction\tinput\toutput\na\t\tx\nb\tz\ty\nc\t\tw\n",
        "output\tinstruction\tinput\nx\ta\t\ny\tb\tz\nw\tc\t\n",
        "Instruction\tOutput\tannotator\tInput\na\tx\tAda\t\nb\ty\tAda\tz\nc\tw\tAda\t\n",
    ],
)
def test_known_names_in_the_first_line_of_a_tsv_are_its_header(text):
    converted = convert_bytes(text.encode(), name="pool.tsv")
    assert converted.examples == EXPECTED
    assert converted.summary.unused in ({}, {"annotator": 3})


def test_a_tsv_of_two_columns_with_a_header():
    (example,) = convert_bytes(b"question\tanswer\nWhich?\tElbe\n").examples
    assert (example["instruction"], example["output"]) == ("Which?", "Elbe")


def test_flans_columns_may_have_a_header_in_any_order():
    (example,) = convert_bytes(b"answer\tquestion\trationale\nyes\tIs it?\tBecause\\nit is.\n").examples
    assert example["output"] == "Because\nit is.\nThe answer is yes."


def test_a_backslash_n_in_a_table_with_a_header_is_text():
    (example,) = convert_bytes(b"question\tanswer\nWhat is $\\nu$?\tA letter\n").examples
    assert example["instruction"] == r"What is $\nu$?"


def test_a_header_may_have_the_names_that_the_user_maps():
    config = RawPoolConfig(columns={"instruction": "question_text", "output": "best"})
    (example,) = convert_bytes(b"best\tquestion_text\tnote\nElbe\tWhich?\tx\n", config, name="pool.tsv").examples
    assert (example["instruction"], example["output"]) == ("Which?", "Elbe")


def test_a_row_with_too_few_cells_is_rejected_with_its_line():
    converted = convert_bytes(b"question\tanswer\nWhich?\tElbe\nlonely\n")
    assert converted.summary.reasons == {"wrong columns": 1}
    assert converted.rejects[0]["line"] == 3


def test_an_object_that_holds_no_records_is_refused():
    with pytest.raises(PoolFileError, match="version"):
        convert_bytes(b'{"version": {"0": "1"}, "names": ["a"]}')
