"""The table and the rejects file: complete, stamped, and whole or not there."""

import json
import os
import tracemalloc

import pyarrow.parquet as pq
import pytest

from adg_pipeline.formats.convert import PoolFileChanged, PoolFileError, convert
from adg_pipeline.formats.schema import RAW_POOL_SCHEMA
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import alpaca, convert_file

TURNS = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}] * 2


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


@pytest.fixture
def outputs(tmp_path):
    return tmp_path / "out" / "table.parquet", tmp_path / "out" / "rejects.jsonl"


@pytest.mark.parametrize("repeated", [False, True])
def test_the_table_has_the_schema_and_the_metadata_made_from_the_summary(tmp_path, outputs, repeated):
    pool = write_lines(tmp_path / "pool.jsonl", alpaca("a"), *([alpaca("a")] if repeated else []))
    summary = convert(pool, *outputs, RawPoolConfig(), metadata=lambda made: {"accepted": str(made.accepted)})
    schema = pq.read_schema(outputs[0])
    assert schema.equals(RAW_POOL_SCHEMA)
    assert schema.metadata == {b"accepted": b"1"}
    assert summary.rejected == int(repeated)
    assert sorted(path.name for path in outputs[0].parent.iterdir()) == ["rejects.jsonl"] * repeated + ["table.parquet"]


def test_a_rejects_file_of_before_goes_when_nothing_is_rejected(tmp_path, outputs):
    pool = write_lines(tmp_path / "pool.jsonl", alpaca(), {})
    convert(pool, *outputs, RawPoolConfig())
    assert outputs[1].exists()
    convert(write_lines(pool, alpaca()), *outputs, RawPoolConfig())
    assert not outputs[1].exists()


def test_a_rejection_tells_record_line_reason_and_a_short_excerpt(tmp_path, outputs):
    pool = tmp_path / "pool.jsonl"
    pool.write_text(f"{json.dumps(alpaca())}\n\n{json.dumps(alpaca(output='', note='x' * 500))}\n", "utf-8")
    convert(pool, *outputs, RawPoolConfig())
    (reject,) = map(json.loads, outputs[1].read_text("utf-8").splitlines())
    assert (reject["record"], reject["line"], reject["kind"], reject["reason"]) == (
        2,
        3,
        "empty output",
        "empty output",
    )
    assert reject["excerpt"].startswith('{"instruction": "Name a colour.", "output": ""')
    assert len(reject["excerpt"]) == 200


def test_when_nothing_is_usable_the_table_of_before_stays(tmp_path, outputs):
    pool = write_lines(tmp_path / "pool.jsonl", alpaca())
    convert(pool, *outputs, RawPoolConfig())
    before = outputs[0].read_bytes()
    with pytest.raises(PoolFileError, match=r"none of its 1 records.*empty output \(1\)"):
        convert(write_lines(pool, alpaca(output="")), *outputs, RawPoolConfig())
    assert [path.name for path in outputs[0].parent.iterdir()] == ["table.parquet"]
    assert outputs[0].read_bytes() == before


@pytest.mark.parametrize("usable", [True, False])
def test_a_file_that_grows_while_it_is_read_is_told_from_a_bad_one(tmp_path, outputs, usable):
    pool = write_lines(tmp_path / "pool.jsonl", alpaca(output="x" if usable else ""))

    def grow(done, total):
        with pool.open("a") as file:
            file.write("{")

    with pytest.raises(PoolFileChanged, match=r"pool\.jsonl"):
        convert(pool, *outputs, RawPoolConfig(), progress=grow)
    assert list(outputs[0].parent.iterdir()) == []


def test_a_file_swapped_for_one_of_equal_size_and_time_is_noticed(tmp_path, outputs):
    pool = write_lines(tmp_path / "pool.jsonl", alpaca("a"))
    other = write_lines(tmp_path / "other.jsonl", alpaca("b"))
    status = pool.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(PoolFileChanged):
        convert(pool, *outputs, RawPoolConfig(), progress=lambda *_: other.exists() and other.rename(pool))


def test_missing_files_and_folders_are_told_apart(tmp_path, outputs):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        convert(tmp_path / "none.json", *outputs, RawPoolConfig())
    with pytest.raises(PoolFileError, match="not a file"):
        convert(tmp_path, *outputs, RawPoolConfig())


def test_progress_reaches_the_size_of_the_file(tmp_path, outputs):
    pool = write_lines(tmp_path / "pool.jsonl", *(alpaca(str(number), "x" * 1000) for number in range(3000)))
    seen = []
    convert(pool, *outputs, RawPoolConfig(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (pool.stat().st_size, pool.stat().st_size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 2


def test_a_long_file_is_not_held_in_memory(tmp_path, outputs):
    record = json.dumps(alpaca("i", "x" * 100_000))
    pool = tmp_path / "pool.json"
    with pool.open("w") as file:
        file.write("[" + ",".join([record.replace('"i"', f'"{number}"') for number in range(600)]) + "]")
    tracemalloc.start()
    try:
        convert(pool, *outputs, RawPoolConfig())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20 < pool.stat().st_size


@pytest.mark.parametrize(
    "records",
    [
        [alpaca(id=1, source="s"), alpaca("b", id=2), alpaca("c", output="", id=3)],
        [{"conversations": TURNS, "id": "x"}, {"conversations": TURNS[:2], "id": "y"}],
        [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}],
        [{"instruction": "i", "instances": [{"input": "x", "output": "y"}, {"input": "z", "output": "y"}], "id": "s"}],
        [{"prompt": "p", "completion": "c"}],
        [{"question": "q", "answer": "a", "rationale": "r"}],
    ],
)
def test_parquet_of_a_shape_gives_what_json_lines_of_it_give(tmp_path, records):
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(records), tmp_path / "pool.parquet")
    columns, lines = (
        convert_file(tmp_path / "pool.parquet"),
        convert_file(write_lines(tmp_path / "pool.jsonl", *records)),
    )
    assert columns.examples == lines.examples
    assert columns.summary.reasons == lines.summary.reasons
    assert columns.summary.format == lines.summary.format


def test_a_raw_pool_table_can_itself_be_a_pool(tmp_path, outputs):
    pool = write_lines(tmp_path / "pool.jsonl", *({"conversations": TURNS, "id": number} for number in range(3)))
    summary = convert(pool, *outputs, RawPoolConfig())
    again = convert_file(outputs[0])
    assert again.summary.format == "canonical"
    assert again.examples == pq.read_table(outputs[0]).to_pylist()
    assert again.summary.content_fingerprint == summary.content_fingerprint


def test_parquet_without_a_known_column_names_those_it_has(tmp_path):
    import pyarrow as pa

    pq.write_table(pa.table({"text": ["x"], "vector": [[1.0]]}), tmp_path / "pool.parquet")
    with pytest.raises(PoolFileError, match=r"text.*vector"):
        convert_file(tmp_path / "pool.parquet")
