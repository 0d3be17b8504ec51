"""What a pipeline has made, to be compared with what it makes undisturbed."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline.orchestration.runs import IN_FLIGHT
from adg_pipeline.store import Store
from adg_pipeline.store.ledger import _memory
from adg_pipeline.store.store import SHARD_TABLES
from adg_pipeline_tests.workbench import Workbench

TABLES = ("raw_pool", "generations", "divergence_scores")
VECTORS = ("answer_embeddings", "instruction_embeddings")


@dataclass(frozen=True)
class Outcome:
    """Subset, rows of every shard, vectors, and the checkpoint's weights."""

    subset: list[str]
    tables: dict[tuple[str, str], pl.DataFrame]
    vectors: dict[tuple[str, str], dict[tuple[str, int], np.ndarray]]
    checkpoint: str | None

    def without_checkpoint(self) -> "Outcome":
        return replace(self, checkpoint=None)


def outcome(bench: Workbench) -> Outcome:
    """Read everything. Raises AssertionError where a row or a vector stands twice, or the ledger and a table differ."""
    store = bench.store
    assert_ledger_is_true(store)
    tables, vectors = {}, {}
    for asset in TABLES:
        for shard in store.shards(asset):
            frame = pl.from_arrow(store.read_table(asset, shard))
            assert isinstance(frame, pl.DataFrame)
            assert frame["example_id"].is_unique().all(), f"{asset} {shard}: a row stands twice"
            tables[asset, shard] = frame.sort("example_id")
    for asset in VECTORS:
        for shard in store.shards(asset):
            rows = [
                ((str(example), int(sample)), vector)
                for ids, samples, stored in store.vectors.read(asset, shard)
                for example, sample, vector in zip(ids, samples, stored, strict=True)
            ]
            found = dict(rows)
            assert len(found) == len(rows), f"{asset} {shard}: a vector stands twice"
            vectors[asset, shard] = found
    weights = store.whole_checkpoint("adg", 42) / "model.safetensors"
    checkpoint = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else None
    return Outcome(bench.subset(), tables, vectors, checkpoint)


def assert_ledger_is_true(store: Store) -> None:
    """What is kept in the ledger of the tables that lie there is what their footers say."""
    _memory.cache_clear()  # as another process would begin
    look = store.look()
    for asset in (*SHARD_TABLES, *VECTORS):
        assert look.shards(asset) == store.shards(asset)
        for shard in look.shards(asset):
            stored = look.required(asset, shard)
            assert stored.to_json() == store.required_provenance(asset, shard).to_json(), (
                f"{asset} {shard}: ledger differs"
            )


def assert_same(found: Outcome, expected: Outcome) -> None:
    """No row or vector is missing, added or different; the subset and the weights are the same."""
    assert found.tables.keys() == expected.tables.keys()
    for place, frame in expected.tables.items():
        assert found.tables[place].equals(frame), f"{place} differs"
    assert found.vectors.keys() == expected.vectors.keys()
    for place, vectors in expected.vectors.items():
        assert found.vectors[place].keys() == vectors.keys(), f"{place}: vectors are missing"
        for name, vector in vectors.items():
            np.testing.assert_allclose(found.vectors[place][name], vector, atol=1e-6, err_msg=f"{place} {name}")
    assert found.subset == expected.subset
    assert found.checkpoint == expected.checkpoint


def leftovers(bench: Workbench) -> dict[str, Any]:
    """What a killed pipeline could leave behind and mustn't: runs that seem to run, slots that nobody holds, part files."""
    with bench.instance() as instance:
        running = [run.run_id for run in instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT))]
        storage = instance.event_log_storage
        claimed = [
            slot for pool in storage.get_pool_limits() for slot in storage.get_concurrency_info(pool.name).claimed_slots
        ]
    root = bench.data
    parts = [str(path.relative_to(root)) for path in root.rglob(".*") if path.suffix in (".tmp", ".old")]
    unfinished = [str(path.relative_to(root)) for path in (root / "generations" / "unfinished").glob("*")]
    found = {"runs": running, "slots": claimed, "part files": parts, "unfinished answers": unfinished}
    return {name: values for name, values in found.items() if values}
