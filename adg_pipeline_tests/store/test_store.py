"""The store: whole shards, atomically; a damaged file is named with its mend; nothing good is overwritten."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adg_pipeline.errors import StoreError
from adg_pipeline.host.files import publish_directory, write_atomically
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe, make_provenance
from adg_pipeline.store.tables import PROVENANCE_KEY
from adg_pipeline.store.vectors import vector_batch

RECIPE = Recipe("generations", "1", {"samples": 5})
VECTORS = Recipe("answer_embeddings", "1", {"model": "m"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(data_dir=str(tmp_path))


def put(store: Store, shard: str, values: list[int]) -> None:
    store.write_table(pa.table({"value": values}), make_provenance(RECIPE, shard, {}, len(values)))


def put_vectors(store: Store, shard: str, examples: list[str], samples: int, fill: float = 1.0, size: int = 4) -> None:
    vectors = np.full((len(examples), samples, size), fill, np.float32)
    provenance = make_provenance(VECTORS, shard, {}, len(examples) * samples)
    batches = [vector_batch(shard, examples, vectors)]
    store.vectors.write("answer_embeddings", shard, size, batches, lambda: provenance)


def test_a_table_and_its_provenance_are_one_file(store: Store) -> None:
    put(store, "a", [1, 2, 3])
    assert store.read_table("generations", "a").to_pydict() == {"value": [1, 2, 3]}
    provenance = store.provenance("generations", "a")
    assert provenance is not None
    assert provenance.recipe == RECIPE
    assert provenance.rows == 3
    assert store.provenance("generations", "b") is None


def test_rewriting_a_shard_replaces_what_its_provenance_tells(store: Store) -> None:
    put(store, "a", [1])
    put(store, "a", [1, 2])
    provenance = store.provenance("generations", "a")
    assert provenance is not None
    assert provenance.rows == 2


def test_a_table_whose_provenance_is_damaged_is_named_with_its_mend(store: Store) -> None:
    put(store, "a", [1])
    damaged = pa.table({"value": [1]}).replace_schema_metadata({PROVENANCE_KEY: b'{"asset": "gene'})
    pq.write_table(damaged, store.table_path("generations", "a"))
    with pytest.raises(StoreError, match=r"a\.parquet: damaged .* Delete the file"):
        store.provenance("generations", "a")


def test_a_table_that_makes_the_reader_panic_is_named_and_a_whole_one_is_not(store: Store) -> None:
    put(store, "a", [1])
    put(store, "b", [2])
    panic = pl.exceptions.PanicException("assertion failed")
    with pytest.raises(pl.exceptions.PanicException), store.damage_named(["generations"], ["a", "b"]):
        raise panic
    path = store.table_path("generations", "b")
    path.write_bytes(path.read_bytes()[:-100])
    with (
        pytest.raises(StoreError, match=r"b\.parquet: damaged"),
        store.damage_named(["generations"], ["a", "b"]),
    ):
        raise panic
    path.unlink()
    with pytest.raises(StoreError, match=r"b\.parquet: missing"), store.damage_named(["generations"], ["a", "b"]):
        raise panic


def test_a_truncated_table_is_named_with_its_mend(store: Store) -> None:
    put(store, "a", list(range(1000)))
    path = store.table_path("generations", "a")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError, match=r"a\.parquet: damaged.*Delete the file"):
        store.provenance("generations", "a")
    with pytest.raises(StoreError, match="damaged"):
        store.read_table("generations", "a")


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left on device"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_directory_is_published_whole(tmp_path: Path) -> None:
    target = tmp_path / "subset"
    publish_directory(target, lambda folder: [(folder / name).write_text("1") for name in "ab"] and None)
    publish_directory(target, lambda folder: (folder / "c").write_text("2") and None)
    assert [entry.name for entry in target.iterdir()] == ["c"]

    def fail(folder: Path) -> None:
        (folder / "d").write_text("3")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        publish_directory(target, fail)
    assert [entry.name for entry in target.iterdir()] == ["c"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["subset"]


def test_vectors_of_a_shard_are_replaced_and_other_shards_untouched(store: Store) -> None:
    put_vectors(store, "a", ["x", "y"], samples=3, fill=1)
    put_vectors(store, "b", ["x"], samples=3, fill=2)
    put_vectors(store, "a", ["y"], samples=2, fill=5)
    assert store.vectors.count("answer_embeddings", "a") == 2
    rows = [(ids.tolist(), vectors[0, 0]) for ids, _, vectors in store.vectors.read("answer_embeddings", "a")]
    assert rows == [(["y", "y"], 5.0)]
    assert store.vectors.count("answer_embeddings", "b") == 3


def test_a_write_that_breaks_off_leaves_a_shard_that_counts_as_missing(store: Store) -> None:
    put_vectors(store, "a", ["x"], samples=2)

    def broken() -> Iterator[pa.RecordBatch]:
        yield vector_batch("a", ["x"], np.ones((1, 2, 4), np.float32))
        raise RuntimeError("the embedder died")

    with pytest.raises((RuntimeError, StoreError, OSError)):
        store.vectors.write("answer_embeddings", "a", 4, broken(), lambda: make_provenance(VECTORS, "a", {}, 2))
    assert store.provenance("answer_embeddings", "a") is None
    assert store.vectors.count("answer_embeddings", "a") == 2  # the commit before is whole
    put_vectors(store, "a", ["x"], samples=2)
    assert store.provenance("answer_embeddings", "a") is not None


def test_another_embedder_starts_a_table_of_its_own_length(store: Store) -> None:
    put_vectors(store, "a", ["x"], samples=2, size=4)
    put_vectors(store, "b", ["y"], samples=2, size=8)
    assert store.provenance("answer_embeddings", "a") is None
    assert store.vectors.shards("answer_embeddings") == ["b"]


def test_a_removed_shard_leaves_nothing_behind(store: Store) -> None:
    put(store, "a", [1])
    put_vectors(store, "a", ["x"], samples=2)
    put_vectors(store, "b", ["x"], samples=2)
    store.quarantine.put("raw_pool", "a", "a fault", "v", "r")
    store.remove_shard("a")
    assert store.provenance("generations", "a") is None
    assert store.vectors.count("answer_embeddings", "a") == 0
    assert store.vectors.count("answer_embeddings", "b") == 2
    assert [path for path in Path(store.data_dir).rglob("a.*") if ".locks" not in path.parts] == []


def test_quotes_in_a_name_don_t_reach_beyond_it(store: Store) -> None:
    put_vectors(store, "b", ["x"], samples=2)
    assert store.vectors.count("answer_embeddings", "a' OR '1'='1") == 0


def test_a_shard_put_aside_is_let_go_by_the_stage_that_put_it_there(store: Store) -> None:
    store.quarantine.put("generations", "a", "all failed", "v1", "r1")
    store.quarantine.release("raw_pool", "a")
    assert "a" in store.quarantine.all()
    store.quarantine.release("generations", "a")
    assert store.quarantine.all() == {}


def test_what_a_killed_process_left_beside_a_file_goes_at_the_next_write(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    host = socket.gethostname()
    dead = tmp_path / f".table.parquet.{host}-{ended.pid}-0123456789ab.tmp"
    alive = tmp_path / f".table.parquet.{host}-{os.getpid()}-0123456789ab.tmp"
    elsewhere = tmp_path / f".table.parquet.other-host-{ended.pid}-0123456789ab.tmp"
    for path in (dead, alive, elsewhere):
        path.write_text("half a table")
    write_atomically(tmp_path / "table.parquet", lambda path: path.write_bytes(b"whole") and None)
    assert not dead.exists()
    assert alive.exists()
    assert elsewhere.exists()


def test_a_directory_lost_between_two_renames_comes_back_before_anything_else_is_tried(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    lost = tmp_path / f".subset.{socket.gethostname()}-{ended.pid}-0123456789ab.old"
    lost.mkdir()
    (lost / "manifest.json").write_text("good")

    def fails(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        publish_directory(tmp_path / "subset", fails)
    assert (tmp_path / "subset" / "manifest.json").read_text() == "good"
