"""CSV with a header: quotes, line breaks, delimiters, what is missing and what is broken."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import convert_bytes, convert_records


def written(rows, delimiter=",", end="\r\n"):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue()


def texts(converted):
    return [(example["instruction"], example["input"], example["output"]) for example in converted.examples]


ROWS = [["instruction", "input", "output"], ['Say "hi", now', "a\nb", "hi"], ["Ä, ü; ö", "", "x\ty"]]
EXPECTED = [('Say "hi", now', "a\nb", "hi"), ("Ä, ü; ö", "", "x\ty")]


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_cells_are_read_as_they_were_written(delimiter, end, name):
    converted = convert_bytes(written(ROWS, delimiter, end).encode(), name=name)
    assert texts(converted) == EXPECTED
    assert (converted.summary.read, converted.summary.rejected) == (2, 0)


@pytest.mark.parametrize(
    "encode", [lambda t: gzip.compress(t.encode()), lambda t: t.encode("utf-8-sig"), lambda t: t.encode("utf-16")]
)
def test_compression_and_byte_order_marks_are_taken_off(encode):
    assert texts(convert_bytes(encode(written(ROWS)), name="a.csv")) == EXPECTED


def test_rows_of_a_csv_are_the_same_examples_as_the_objects_they_stand_for():
    rows = [["id", "query", "response"], ["a", "1?", "1!"], ["b", "2?", "2!"]]
    objects = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    table = convert_bytes(written(rows).encode(), name="a.csv")
    assert table.summary.content_fingerprint == convert_records(*objects).summary.content_fingerprint


def test_messages_may_stand_in_a_cell_as_json_and_an_index_has_no_name():
    turns = [{"role": "user", "content": "Hi, you?"}, {"role": "assistant", "content": "Fine."}]
    converted = convert_bytes(written([["", "messages"], ["0", json.dumps(turns)]]).encode(), name="a.csv")
    assert texts(converted) == [("Hi, you?", "", "Fine.")]
    assert converted.summary.unused == {}


def test_an_empty_cell_is_missing_and_a_blank_line_is_none():
    converted = convert_bytes(b"instruction,input,output\n\nDo,,\n,,\nDo,it,now\n", name="a.csv")
    assert texts(converted) == [("Do", "it", "now")]
    assert [(reject["record"], reject["line"]) for reject in converted.rejects] == [(1, 3)]


@pytest.mark.parametrize(
    ("line", "kind"),
    [("a,b", "wrong columns"), ("a,b,c,d", "wrong columns"), ('"a"b,,c', "not CSV"), ("a,\udcff,c", "not UTF-8")],
)
def test_a_broken_row_costs_itself_and_is_named_by_its_line(line, kind):
    text = f"instruction,input,output\n1,,x\n{line}\n2,,y\n"
    converted = convert_bytes(text.encode("utf-8", "surrogateescape"), name="a.csv")
    assert texts(converted) == [("1", "", "x"), ("2", "", "y")]
    assert [(reject["kind"], reject["line"]) for reject in converted.rejects] == [(kind, 3)]


def test_a_quote_that_is_not_closed_is_named_with_the_line_it_opens_on():
    converted = convert_bytes(b'instruction,output\n1,x\n2,"y\n3,z\n', name="a.csv")
    assert texts(converted) == [("1", "", "x")]
    assert "from line 3 to line 4" in converted.reasons[0]


def test_a_quote_that_is_not_closed_does_not_take_the_memory_with_it():
    data = b'instruction,output\n1,x\n2,"' + b"y\n" * 60_000
    converted = convert_bytes(data, RawPoolConfig(max_record_mib=0.05), name="a.csv")
    assert texts(converted) == [("1", "", "x")]


@pytest.mark.parametrize("header", ["one,two", "instruction,instruction,output"])
def test_a_table_without_known_columns_is_refused_by_its_columns(header):
    with pytest.raises(PoolFileError, match=r"read as csv.*(one, two|'instruction' more than once)"):
        convert_bytes(f"{header}\n{header}\n".encode(), name="a.csv")


def test_columns_under_other_names_can_be_mapped():
    config = RawPoolConfig(columns={"instruction": "frage", "output": "antwort"})
    converted = convert_bytes(b"frage;antwort;note\nWas?;Das.;1\n", config, name="a.csv")
    assert texts(converted) == [("Was?", "", "Das.")]
    assert converted.summary.unused == {"note": 1}


def test_a_line_of_json_is_no_header():
    converted = convert_bytes(b'{"instruction": "a", "output": "b"}\n', name="a.csv")
    assert texts(converted) == [("a", "", "b")]


@given(
    st.lists(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1), min_size=1),
    st.sampled_from([",", ";"]),
)
def test_any_text_comes_back_from_a_cell(cells, delimiter):
    rows = [["instruction", "output"], *([f"{place} {cell}", "x" + cell] for place, cell in enumerate(cells))]
    converted = convert_bytes(written(rows, delimiter).encode(), name="a.csv")
    assert [list(text)[::2] for text in texts(converted)] == rows[1:]
