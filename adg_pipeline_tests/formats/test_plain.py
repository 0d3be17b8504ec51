"""Records that are read without the general way: it would have made the same of them."""

import json
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.algorithms.prompts import alpaca_prompt
from adg_pipeline.formats import examples
from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline.formats.shapes.plain import plain_draft
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import Converted, convert_bytes

MARKS = [
    alpaca_prompt("Go."),
    "### Instruction:\nGo.",
    "<|im_start|>user\nGo.<|im_end|>",
    "User: Go.",
    "[INST] Go. [/INST]",
]
TEXT = st.text(max_size=8) | st.sampled_from([*MARKS, "", " \n", "\x1c", "\0", "\x7f\u2028", "é数据😀", "x" * 700])
VALUE = TEXT | st.sampled_from([None, True, 1.5, 10**30, float("nan"), ["a"], {"text": ["a"]}, [["q", "a"]]])
RECORD = st.fixed_dictionaries(
    {"instruction": TEXT, "output": TEXT},
    optional={"input": TEXT | VALUE, "Output": VALUE, "id": VALUE, "system": VALUE, "label": VALUE, "unknown": VALUE},
)
NASTY = st.sampled_from(
    [
        b"", b" \t", b"\x0b", b"null", b"{}", b'["a"]', b'{"instruction": "a"}', b'{"instruction": "a", "output": "b"',
        b'{"instruction": "a", "output": "b"}{"instruction": "a", "output": "b"}', b'{"instruction": "a", "output": "b"},',
        b'{"instruction": "a", "output": "b"}\0', b'\xef\xbb\xbf{"instruction": "a", "output": "b"}',
        b'{"instruction": "\\ud800", "output": "b"}', b'{"instruction": "a", "output": "\\udc00\\ud800"}',
        b'{"instruction": "\xff", "output": "b"}', b'{"instruction": "\xed\xa0\x80", "output": "b"}',
        b'{"instruction": "a\tb", "output": "b"}', b'{"instruction": "a\\x", "output": "b"}',
        b'{"instruction": "\\u0000", "output": "b"}', b'{"instruction": "\\\\u0000", "output": "\\/"}',
        b'{"instruction": "a", "instruction": "c", "output": "b"}', b'{"instruction": 1, "instruction": "c", "output": "b"}',
        b'{"instruction": ' + b"1" * 5000 + b', "instruction": "c", "output": "b"}',
        b'{"instruction": ' + b"[" * 2000 + b"]" * 2000 + b', "instruction": "c", "output": "b"}',
        b'{"\\u0069nstruction": "c", "output": "b"}', b'{"instruction": "\\uD83D\\uDE00", "output": "b", "input": 1e999}',
    ]
)  # fmt: skip
LINE = (
    st.builds(lambda record, escaped: json.dumps(record, ensure_ascii=escaped).encode(), RECORD, st.booleans()) | NASTY
)
CONFIG = st.sampled_from(
    [{}, {}, {"format": "alpaca"}, {"max_record_mib": 0.0005}, {"ids": "local"}, {"columns": {"output": "input"}}]
)


def read(data: bytes, config: RawPoolConfig) -> Converted | str:
    try:
        return convert_bytes(data, config)
    except PoolFileError as refused:
        return str(refused).split(": ", 1)[1]  # without the path


@settings(max_examples=150)
@given(
    st.lists(LINE, max_size=8),
    st.sampled_from(
        [(b"", b"\n", b""), (b"", b"\r\n", b"\r\n"), (b"\xef\xbb\xbf", b"\n", b"\n"), (b"[", b",\n", b"]")]
    ),
    CONFIG,
    st.integers(0, 3),
)
def test_what_the_general_way_makes_of_a_file_is_made_of_it_with_the_short_way_too(lines, around, settings, cut):
    before, between, after = around
    data = before + between.join([b'{"instruction": "Name a colour.", "output": "Red."}', *lines]) + after
    data = data[: len(data) - cut]
    config = RawPoolConfig(**settings)
    with patch.object(examples, "plain_draft", lambda data: None):
        expected = read(data, config)
    assert read(data, config) == expected


@pytest.mark.parametrize("input", [{}, {"input": ""}, {"input": "Elbe 数据 😀"}, {"input": None}])
def test_plain_records_are_read_the_short_way(input):
    draft = plain_draft(json.dumps({"instruction": "Name\ta river.", "output": "Elbe.", **input}).encode())
    assert draft is not None
    assert (draft.instruction, draft.input, draft.output) == ("Name\ta river.", input.get("input") or "", "Elbe.")


@pytest.mark.parametrize("more", [{"id": 1}, {"input": 1}, {"instruction": MARKS[0]}, {"output": None}])
def test_others_are_not(more):
    assert plain_draft(json.dumps({"instruction": "Name a river.", "output": "Elbe.", **more}).encode()) is None
