"""Encodings, broken files, and records that are made to hurt."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import alpaca, convert_bytes, convert_file, convert_records

ARRAY = json.dumps([alpaca("Größe?", "数据 🙂\r\nja"), alpaca("b"), alpaca("c")], ensure_ascii=False)
LINES = "".join(json.dumps(alpaca(letter)) + "\n" for letter in "abcdefgh")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_with_a_mark_gives_the_same_examples(encoding):
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    converted = convert_bytes((mark + ARRAY).encode(encoding))
    assert [example["instruction"] for example in converted.examples] == ["Größe?", "b", "c"]
    assert converted.examples[0]["output"] == "数据 🙂\r\nja"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compression_is_seen_in_the_bytes_and_not_in_the_name(pack):
    converted = convert_bytes(pack(ARRAY.encode()) + pack(b"\n"), name="plain.txt")
    assert converted.summary.accepted == 3
    assert converted.summary.compression == ("gzip" if pack is gzip.compress else "zstd")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_cut_compressed_lines_give_what_came_before_and_one_rejection(pack):
    text = "".join(json.dumps(alpaca(f"{number} {number * 7919 % 104729}")) + "\n" for number in range(15_000)).encode()
    packed = pack(text)
    converted = convert_bytes(packed[: len(packed) * 2 // 3])
    assert 1000 < converted.summary.accepted < 15_000
    assert converted.summary.reasons == {"broken file": 1}
    assert "cut short" in converted.reasons[0]
    assert converted.rejects[0]["record"] == converted.summary.accepted + 1


def test_lines_end_with_line_feeds_or_crlf_and_with_nothing_else():
    text = LINES.replace("\n", "\r\n\r\n") + json.dumps(alpaca("x\u2028y\x85z"), ensure_ascii=False)
    converted = convert_bytes(text.encode())
    assert converted.summary.accepted == 9
    assert converted.examples[-1]["instruction"] == "x\u2028y\x85z"


def test_a_malformed_record_costs_itself_alone():
    for text in ('[{"a": }, %s, {"a"} , nonsense, 7, %s]', '{"a": }\n%s\n{"a"}\nnonsense\n7\n%s\n'):
        converted = convert_bytes((text % (json.dumps(alpaca("a")), json.dumps(alpaca("b")))).encode())
        assert (converted.summary.accepted, converted.summary.rejected) == (2, 4)
        assert [reject["record"] for reject in converted.rejects] == [1, 3, 4, 5]
        assert converted.summary.reasons == {"not JSON": 3, "not an object": 1}


def test_a_cut_array_gives_what_came_before_and_one_rejection_with_its_place():
    whole = json.dumps([alpaca(letter) for letter in "abc"], indent=1)
    in_third = whole[: whole.rindex("c") + 1]
    converted = convert_bytes(in_third.encode())
    assert converted.summary.accepted == 2
    (broken,) = converted.rejects
    assert (broken["record"], broken["kind"]) == (3, "broken file")
    assert broken["line"] == in_third[: in_third.rindex("{")].count("\n") + 1
    assert convert_bytes(whole.rstrip("]").encode()).summary.accepted == 3


def test_text_after_the_array_is_one_rejection():
    converted = convert_bytes(f"{ARRAY}\n{ARRAY}".encode())
    assert converted.summary.accepted == 3
    assert converted.reasons == ["broken file: text follows the end of the JSON array; it was not read"]
    assert converted.rejects[0]["line"] == 2


def test_a_record_over_the_limit_is_rejected_with_its_place_and_the_next_one_read():
    records = [alpaca("a"), alpaca("long", "x" * 3_000_000), alpaca("b")]
    for text in (json.dumps(records, indent=0), "\n".join(json.dumps(record) for record in records)):
        converted = convert_bytes(text.encode(), RawPoolConfig(max_record_mib=1))
        assert [example["instruction"] for example in converted.examples] == ["a", "b"]
        (large,) = converted.rejects
        assert (large["record"], large["kind"]) == (2, "too large")
        assert large["line"] == (6 if text.startswith("[") else 2)
        assert len(large["excerpt"]) == 200


@pytest.mark.parametrize("text", [r'"\ud800"', r'"x\udc00y"'])
def test_a_lone_surrogate_is_rejected_wherever_it_stands(text):
    bad = [f'{{"instruction": {text}, "output": "x"}}', f'{{"instruction": "i", "output": "o", "id": {text}}}']
    records = [json.dumps(alpaca()), *bad]
    for container in (f"[{','.join(records)}]", "\n".join(records)):
        converted = convert_bytes(container.encode())
        assert converted.summary.reasons == {"lone surrogate": 2}


def test_a_surrogate_pair_is_the_character_that_it_means():
    (example,) = convert_bytes(rb'[{"instruction": "\ud83d\ude42", "output": "\u0041"}]').examples
    assert (example["instruction"], example["output"]) == ("🙂", "A")


def test_nul_is_rejected_but_the_letters_u0000_are_not():
    converted = convert_records(alpaca("a\0b"), alpaca(id="a\0"), alpaca(r"print('\u0000')"), alpaca("tab\tbell\x07"))
    assert converted.summary.reasons == {"NUL character": 2}
    assert [example["instruction"] for example in converted.examples] == [r"print('\u0000')", "tab\tbell\x07"]


def test_bytes_that_are_no_utf8_cost_their_record():
    converted = convert_bytes(LINES.encode().replace(b'"c"', b'"\xff"'))
    assert (converted.summary.accepted, converted.summary.reasons) == (7, {"not UTF-8": 1})
    assert converted.rejects[0]["line"] == 3


def test_deep_nesting_and_endless_numbers_are_rejections():
    deep = '{"instruction": ' + "[" * 100_000 + "]" * 100_000 + "}"
    number = '{"instruction": ' + "9" * 5000 + "}"
    good = json.dumps(alpaca())
    for container in (f"[{good}, {deep}, {number}]", f"{good}\n{deep}\n{number}\n"):
        converted = convert_bytes(container.encode())
        assert converted.summary.reasons == {"nested too deeply": 1, "not JSON": 1}


def test_a_file_of_opening_brackets_is_refused_at_once():
    with pytest.raises(PoolFileError):
        convert_bytes(b"[" * 1_000_000)


def test_of_a_key_that_stands_twice_the_last_value_counts():
    (example,) = convert_bytes(b'{"instruction": "a", "output": "x", "instruction": "b"}').examples
    assert example["instruction"] == "b"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "is empty"),
        (b" \n\n", "only white space"),
        (b"\xef\xbb\xbf", "only white space"),
        (gzip.compress(b"", mtime=0), "only white space"),
        (b"[]", "there are no records"),
        (b"PK\x03\x04....", "zip archive"),
        (b"PAR1 nothing PAR1", "can't be read"),
        (gzip.compress(b"PAR1" + b"x" * 50, mtime=0), "Parquet file inside compression"),
        (b"\x1f\x8bnonsense", "before any text"),
        (b"hello there\n", "not JSON"),
        (b'{"text": 1}', "keys [text]"),
        (b'[{"instruction": "", "output": "x"}]', "empty instruction (1)"),
    ],
)
def test_a_file_with_nothing_usable_is_refused_by_name_with_what_was_found(data, found):
    with pytest.raises(PoolFileError) as refused:
        convert_bytes(data)
    assert "pool.json" in str(refused.value)
    assert found in str(refused.value)


MESSAGE = {"message_id": "m", "parent_id": None, "message_tree_id": "m", "role": "prompter", "text": "Why?"}
REPLY = {"message_id": "r", "parent_id": "m", "message_tree_id": "m", "role": "assistant", "text": "So."}


@pytest.mark.parametrize("container", ["json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([MESSAGE, REPLY], "one message of a tree (parent_id, role, text), not a conversation: take the file of whole"),
        ([{"text": "Human: why? Assistant: because."}], "The column text is all there is"),
        ([{"id": 1, "content": "once", "meta": "x"}] * 2, "The column content is all there is"),
    ],
)
def test_records_that_are_no_examples_by_themselves_are_refused_with_what_to_do(tmp_path, container, written, said):
    file = tmp_path / f"pool.{container}"
    if container == "parquet":
        pq.write_table(pa.Table.from_pylist(written), file)
    elif container == "csv":
        cells = [written[0].keys(), *(record.values() for record in written)]
        file.write_text("\n".join(",".join(str(cell or "") for cell in row) for row in cells))
    else:
        file.write_text(json.dumps(written) if container == "json" else "\n".join(map(json.dumps, written)))
    with pytest.raises(PoolFileError) as refused:
        convert_file(file)
    assert said in str(refused.value)
    assert "raw_pool.columns" in str(refused.value)
