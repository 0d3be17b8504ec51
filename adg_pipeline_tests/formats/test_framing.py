"""Boundaries of records: independent of how the bytes come in."""

import json

from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.formats.framing import elements, lines

# Text of the characters that matter to a splitter.
TEXT = st.text(alphabet='"\\[]{},:\n a1é')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
LIMIT = 1 << 20


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 7))
def test_array_elements_are_those_of_json_loads_however_the_bytes_are_cut(values, indent, escaped, size):
    data = json.dumps(values, indent=indent, ensure_ascii=escaped).encode()
    frames = list(elements(cut(data, size), LIMIT))
    assert [json.loads(frame.data) for frame in frames] == values
    assert [frame.number for frame in frames] == list(range(1, len(values) + 1))
    assert all(frame.fault is None for frame in frames)


@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=3), min_size=1, max_size=5), st.integers(1, 9), st.data())
def test_an_array_cut_anywhere_gives_a_beginning_of_its_elements_and_one_fault(values, size, data):
    text = json.dumps(values, indent=1).encode()
    kept = text[: data.draw(st.integers(1, len(text) - 1))]
    *whole, broken = elements(cut(kept, size), LIMIT)
    assert [json.loads(frame.data) for frame in whole] == values[: len(whole)]
    assert broken.fault is not None
    assert all(frame.fault is None for frame in whole)


@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(1, 50))
def test_an_elements_line_is_where_it_begins(values, size):
    data = ("\n\n[\n" + ",\n\n".join(json.dumps(value) for value in values) + "]").encode()
    assert [frame.line for frame in elements(cut(data, size), LIMIT)] == [4 + 2 * place for place in range(len(values))]


@given(st.lists(st.text(alphabet="ab\r \u2028"), max_size=8), st.integers(1, 5))
def test_lines_are_those_between_line_feeds_without_blank_ones(texts, size):
    found = [(frame.line, frame.data.decode()) for frame in lines(cut("\n".join(texts).encode(), size), LIMIT)]
    assert found == [(n, text.removesuffix("\r")) for n, text in enumerate(texts, start=1) if text.encode().strip()]


@given(st.integers(0, 40), st.integers(1, 9))
def test_a_record_over_the_limit_keeps_only_its_beginning(length, size):
    limit = 20
    for split, data in ((lines, b"x" * length + b"\ny"), (elements, b"[" + b"1" * length + b",2]")):
        frames = list(split(cut(data, size), limit))
        assert frames[-1].fault is None
        if length:
            assert (frames[0].fault is None) == (length <= limit)
