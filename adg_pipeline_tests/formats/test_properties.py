"""What holds for every record and for every byte."""

import importlib.util
import json
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline_tests.formats.reading import convert_bytes, convert_records

TEXT = st.text(max_size=12)
ROLES = st.sampled_from(["system", "user", "assistant", "tool", "human", "gpt"])
CALL = st.fixed_dictionaries({"name": st.just("f"), "arguments": st.dictionaries(TEXT, TEXT | st.none(), max_size=2)})
TURN = st.fixed_dictionaries(
    {"role": ROLES, "content": TEXT},
    optional={
        "reasoning_content": TEXT,
        "tool_calls": st.lists(CALL, max_size=2),
        "name": TEXT,
        "tool_call_id": TEXT,
        "weight": st.sampled_from([0, 1]),
    },
)
TOOLS = st.just("") | st.lists(st.fixed_dictionaries({"name": st.just("f"), "description": TEXT}), max_size=2)
FIELDS = st.fixed_dictionaries(
    {"instruction": TEXT, "output": TEXT},
    optional={
        "input": TEXT,
        "id": st.integers(0, 3) | TEXT,
        "source": TEXT,
        "history": st.lists(st.tuples(TEXT, TEXT)),
    },
)
RECORD = FIELDS | st.fixed_dictionaries(
    {"messages": st.lists(TURN, max_size=5)}, optional={"id": TEXT, "tools": TOOLS, "system_prompt": TEXT}
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORD, max_size=6))
def test_ids_sources_and_contents_survive_canonical_json_lines(records):
    try:
        first = convert_records(*records)
    except PoolFileError:
        return
    again = convert_bytes("\n".join(json.dumps(row) for row in first.examples).encode(), name="other.jsonl")
    assert again.summary.format == "canonical"
    assert [{**row, "row": 0} for row in again.examples] == [{**row, "row": 0} for row in first.examples]
    assert again.summary.content_fingerprint == first.summary.content_fingerprint
    assert again.rejects == []


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=6), st.sampled_from([None, 1]))
def test_every_record_is_accepted_or_rejected_whatever_it_holds(records, indent):
    try:
        converted = convert_bytes(json.dumps(records, indent=indent).encode())
    except PoolFileError:
        return
    summary = converted.summary
    assert summary.read == len(records) == summary.accepted + summary.rejected
    assert summary.accepted == len(converted.examples) == len({row["example_id"] for row in converted.examples})
    assert {row["row"] for row in converted.examples}.isdisjoint(reject["record"] for reject in converted.rejects)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    try:
        converted = convert_bytes(data)
    except PoolFileError as refused:
        assert "pool.json" in str(refused)
    else:
        assert converted.summary.read == converted.summary.accepted + converted.summary.rejected


def test_mutated_real_pools_are_read_or_refused(shared):
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz_formats.py"
    spec = importlib.util.spec_from_file_location("fuzz_formats", script)
    assert spec is not None
    assert spec.loader is not None
    fuzz_formats = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = fuzz_formats  # dataclasses look their module up
    spec.loader.exec_module(fuzz_formats)
    report = fuzz_formats.fuzz(shared / "data" / "pools", mutations=250, seed=1)
    assert report.failures == []
    assert len(report.outcomes) == 3, "some outcome never occurred: the mutations are too mild or too wild"
