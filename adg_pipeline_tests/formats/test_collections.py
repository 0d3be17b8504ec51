"""Data sets of several files: folders of Parquet files, folders that `datasets` saved, the hub when it isn't there."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adg_pipeline.errors import PipelineError
from adg_pipeline.formats.collections import open_collection
from adg_pipeline.formats.errors import PoolFileError
from adg_pipeline.formats.origins import origin_facts, read_origin
from adg_pipeline.formats.split import add_collection
from adg_pipeline_tests.formats.hub_server import COMMIT, hub
from adg_pipeline_tests.formats.reading import alpaca, convert_file


def rows(count, first=0, **fields):
    return [alpaca(f"{number}?", f"{number}!", **fields) for number in range(first, first + count)]


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), path)


def in_pool(pool):
    shards = sorted(path for path in pool.iterdir() if path.is_file())
    return [example["instruction"] for path in shards for example in convert_file(path).examples]


@pytest.mark.parametrize("below", [".", "data"])
def test_a_folder_of_parquet_files_is_one_data_set_in_shards(tmp_path, below):
    write(tmp_path / "set" / below / "train-00000-of-00002.parquet", rows(3))
    write(tmp_path / "set" / below / "train-00001-of-00002.parquet", [*rows(2, 3, extra=1), *rows(1)])
    (tmp_path / "set" / "README.md").write_text("a card")
    collection = open_collection(str(tmp_path / "set"))
    shards = add_collection(collection, tmp_path / "pool", rows_per_shard=2)
    assert [(shard.key, shard.rows) for shard in shards] == [("set-00000", 2), ("set-00001", 2), ("set-00002", 1)]
    assert (shards[0].summary.read, shards[0].summary.rejected) == (6, 1)
    assert in_pool(tmp_path / "pool") == [f"{number}?" for number in range(5)]
    assert not any(shard.changed for shard in add_collection(collection, tmp_path / "pool", rows_per_shard=2))


def test_splits_are_told_apart_and_one_has_to_be_chosen(tmp_path):
    write(tmp_path / "set" / "train-00000-of-00001.parquet", rows(3))
    write(tmp_path / "set" / "test-00000-of-00001.parquet", rows(2, 3))
    with pytest.raises(PoolFileError, match="splits test, train: choose one with --split"):
        open_collection(str(tmp_path / "set"))
    with pytest.raises(PoolFileError, match="no split dev; it has test, train"):
        open_collection(str(tmp_path / "set"), split="dev")
    (shard,) = add_collection(open_collection(str(tmp_path / "set"), split="test"), tmp_path / "pool")
    assert (shard.key, shard.rows) == ("set-test-00000", 2)


def test_what_datasets_saved_is_read_with_its_splits(tmp_path):
    import datasets

    whole = datasets.Dataset.from_list(rows(5))
    whole.select([4, 2]).save_to_disk(str(tmp_path / "picked"))
    datasets.DatasetDict({"train": whole, "test": whole.select([0])}).save_to_disk(str(tmp_path / "both"))
    add_collection(open_collection(str(tmp_path / "picked")), tmp_path / "pool")
    assert in_pool(tmp_path / "pool") == ["4?", "2?"]
    with pytest.raises(PoolFileError, match="train, test"):
        open_collection(str(tmp_path / "both"))
    (shard,) = add_collection(open_collection(str(tmp_path / "both"), split="train"), tmp_path / "pool")
    assert (shard.key, shard.rows) == ("both-train-00000", 5)
    origin = read_origin(tmp_path / "pool", "both-train")
    assert origin is not None
    assert origin.source == f"{tmp_path / 'both'} train"


@pytest.mark.parametrize("limit", [3, 1500])
def test_a_limit_takes_as_many_although_many_rows_are_rejected(tmp_path, limit):
    write(tmp_path / "set" / "a.parquet", [*rows(1), *[alpaca("x", "") for _ in range(900)], *rows(4000, 1)])
    shards = add_collection(open_collection(str(tmp_path / "set")), tmp_path / "pool", limit=limit)
    assert sum(shard.rows for shard in shards) == limit
    assert not shards[0].summary.complete


def test_a_folder_that_is_no_data_set_is_named_with_what_to_do(tmp_path):
    with pytest.raises(PoolFileError, match="it is empty"):
        open_collection(str(tmp_path))
    (tmp_path / "a.txt").write_text("{}")
    with pytest.raises(PoolFileError, match=r"holds no Parquet, JSON, CSV or TSV files"):
        open_collection(str(tmp_path))
    for name in ("one", "two"):
        write(tmp_path / name / "a.parquet", rows(1))
    with pytest.raises(PoolFileError, match=r"several folders.*one.*two"):
        open_collection(str(tmp_path))


def test_a_data_set_with_nothing_usable_is_named_by_where_it_lies(tmp_path):
    write(tmp_path / "set" / "a.parquet", [{"x": 1}])
    with pytest.raises(PoolFileError) as raised:
        add_collection(open_collection(str(tmp_path / "set")), tmp_path / "pool")
    assert str(raised.value).startswith(f"{tmp_path / 'set'}: read as parquet")


def test_damage_and_unlike_parts_are_named(tmp_path):
    write(tmp_path / "set" / "a.parquet", [{"instruction": "a", "output": "b"}])
    write(tmp_path / "set" / "b.parquet", [{"instruction": {"x": 1}, "output": "b"}])
    with pytest.raises(PoolFileError, match="can't be read together"):
        open_collection(str(tmp_path / "set"))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text(json.dumps({"_data_files": []}))
    with pytest.raises(PoolFileError, match="saved data set that can't be read"):
        open_collection(str(tmp_path / "saved"))


def test_without_the_hub_the_way_round_it_is_named_at_once():
    with pytest.raises(
        PipelineError, match=r"HF_HUB_OFFLINE is set.*hf download a/b .*--revision v1.*adg pool add DIR"
    ):
        open_collection("hf:a/b", revision="v1")


def test_a_revision_is_for_the_hub(tmp_path):
    with pytest.raises(PipelineError, match="are for data sets of the hub"):
        open_collection(str(tmp_path), revision="v1")


def test_a_data_set_of_the_hub_is_streamed_at_its_commit(tmp_path):
    write(tmp_path / "train.parquet", rows(300))
    files = {"README.md": b"---\n---\n", "data/train-00000-of-00001.parquet": (tmp_path / "train.parquet").read_bytes()}
    with hub("owner/some.set", files) as address:

        def add(*arguments):
            environment = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "cache")}
            # A process of its own: the library takes the hub's address when it is imported.
            return subprocess.run(
                [sys.executable, "-m", "adg_pipeline.cli", "pool", "add", "hf:owner/some.set", *arguments],
                env={**os.environ, **environment, "ADG_DATA_DIR": str(tmp_path / "data")},
                capture_output=True,
                text=True,
                timeout=120,
            )

        refused = add("--revision", "v2")
        assert refused.returncode == 1
        assert "has no revision v2" in refused.stderr
        added = add("--revision", "v1", "--limit", "20", "--rows-per-shard", "8")
    assert added.returncode == 0, added.stderr
    pool = tmp_path / "data" / "pool"
    assert in_pool(pool) == [f"{number}?" for number in range(20)]
    shards = sorted(path for path in pool.iterdir() if path.is_file())
    assert [path.name for path in shards] == [f"some-set-0000{number}.jsonl" for number in range(3)]
    assert origin_facts(shards[1]) == {"from": "hf:owner/some.set train", "revision": COMMIT}
