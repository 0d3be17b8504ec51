"""Vector tables: what shows damage and what doesn't, and whose fault a broken write is."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from adg_pipeline.errors import StoreError
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe, make_provenance
from adg_pipeline.store.vectors import COMPACT_EVERY, compact_every, vector_batch

RECIPE = Recipe("answer_embeddings", "1", {"model": "m"})
TABLE = "answer_embeddings"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(data_dir=str(tmp_path))


def put(store: Store, shard: str, examples: list[str]) -> None:
    vectors = np.ones((len(examples), 3, 4), np.float32)
    provenance = make_provenance(RECIPE, shard, {}, len(examples) * 3)
    store.vectors.write(TABLE, shard, 4, [vector_batch(shard, examples, vectors)], lambda: provenance)


@pytest.mark.filterwarnings("ignore:optimize")
def test_rewritten_removed_and_compacted_shards_are_no_damage(store: Store) -> None:
    """The newest manifest also tells of files that compacting has deleted."""
    assert store.vectors.damage(TABLE) is None
    for shard in "abc":
        put(store, shard, ["x", "y"])
    put(store, "b", ["y"])
    assert store.vectors.damage(TABLE) is None
    for _ in range(2):
        store.vectors._open(TABLE).optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
        assert store.vectors.damage(TABLE) is None
        put(store, "c", ["z"])
        store.vectors.remove(TABLE, "a")
        assert store.vectors.damage(TABLE) is None
    assert store.vectors.count(TABLE, "c") == 3


def test_a_table_that_is_gone_while_its_records_say_otherwise_is_damaged(store: Store, tmp_path: Path) -> None:
    put(store, "a", ["x"])
    (tmp_path / "lancedb" / f"{TABLE}.lance").rename(tmp_path / "elsewhere")
    damage = store.vectors.damage(TABLE)
    assert damage is not None
    assert "it is missing" in str(damage)
    assert [path.name for path in damage.delete] == [f"{TABLE}.lance", TABLE]


def test_an_embedder_that_fails_is_not_called_a_damaged_table(store: Store) -> None:
    class Overheated(RuntimeError):
        pass

    def batches() -> Iterator[pa.RecordBatch]:
        yield vector_batch("a", ["x"], np.ones((1, 3, 4), np.float32))
        raise Overheated("the GPU is too hot")

    with pytest.raises(Overheated, match="too hot"):
        store.vectors.write(TABLE, "a", 4, batches(), lambda: make_provenance(RECIPE, "a", {}, 3))
    put(store, "a", ["x"])
    with pytest.raises(Overheated, match="too hot"):
        store.vectors.write(TABLE, "a", 4, batches(), lambda: make_provenance(RECIPE, "a", {}, 3))
    assert store.vectors.damage(TABLE) is None


def test_many_commits_are_compacted_without_being_asked(store: Store, tmp_path: Path) -> None:
    for number in range(COMPACT_EVERY + 4):
        put(store, f"shard-{number:03}", ["x"])
    stats: Any = store.vectors._open(TABLE).stats()
    assert stats["fragment_stats"]["num_fragments"] <= 8
    assert store.vectors.damage(TABLE) is None
    assert all(
        store.vectors.count(TABLE, f"shard-{number:03}") == 3 for number in (0, COMPACT_EVERY, COMPACT_EVERY + 3)
    )


def test_damage_that_makes_the_library_panic_is_named_too(store: Store, tmp_path: Path) -> None:
    """Its panics are no exceptions of the usual kinds: one in sixty truncated manifests would pass for a fault of ours."""
    put(store, "a", ["x"])
    newest = min(tmp_path.glob("lancedb/*.lance/_versions/*.manifest"))
    text = newest.read_bytes()
    at = len(text) - 16  # where the last 16 bytes say that the table begins: here it has no room to
    newest.write_bytes(text[:-16] + at.to_bytes(8, "little") + text[-8:])
    for use in (lambda: store.vectors.count(TABLE, "a"), lambda: put(store, "a", ["y"])):
        with pytest.raises(StoreError, match=r"answer_embeddings\.lance: damaged"):
            use()


def indexed(store: Store) -> tuple[int, int]:
    """Rows of the table that are in the index on shards, and rows that aren't."""
    lance = store.vectors._open(TABLE)
    (index,) = lance.list_indices()
    assert index.columns == ["shard"]
    stats = lance.index_stats(index.name)
    assert stats is not None
    return stats.num_indexed_rows, stats.num_unindexed_rows


def test_the_index_on_shards_keeps_up_with_growth(store: Store) -> None:
    for number in range(COMPACT_EVERY + 4):
        put(store, f"shard-{number:03}", ["x"])
        assert indexed(store)[1] <= 3 * COMPACT_EVERY
    assert indexed(store)[0] >= 3 * (COMPACT_EVERY - 4)
    put(store, "shard-001", ["x", "y"])
    store.vectors.remove(TABLE, "shard-002")
    assert [store.vectors.count(TABLE, f"shard-{number:03}") for number in range(4)] == [3, 6, 0, 3]


def test_a_table_of_before_there_was_an_index_gets_one(store: Store) -> None:
    put(store, "a", ["x"])
    lance = store.vectors._open(TABLE)
    (index,) = lance.list_indices()
    lance.drop_index(index.name)
    put(store, "b", ["x"])
    assert store.vectors.count(TABLE, "a") == store.vectors.count(TABLE, "b") == 3
    store.vectors.compact(TABLE)
    assert indexed(store) == (6, 0)


def test_a_large_table_is_compacted_less_often() -> None:
    assert [compact_every(rows) for rows in (0, 1_000_000, 8_100_000, 1_001_000_000)] == [64, 64, 128, 640]


def test_a_compaction_that_another_process_overtakes_is_no_damage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lancedb.table import LanceTable

    def overtaken(self: LanceTable, **options: Any) -> None:
        raise RuntimeError(
            "lance error: Retryable commit conflict for version 18: This Rewrite transaction was preempted"
        )

    put(store, "a", ["x"])
    with monkeypatch.context() as patch:
        patch.setattr(LanceTable, "optimize", overtaken)
        store.vectors.compact(TABLE)
    store.vectors.compact(TABLE)
    assert store.vectors.count(TABLE, "a") == 3
