"""Shards whose pool file changes while a step has it: read again as it is then, never put aside for it."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import dagster as dg
import pytest

from adg_pipeline.assets import pool
from adg_pipeline.assets.shards import ShardTask, materialize_shards
from adg_pipeline.errors import ShardFault
from adg_pipeline.formats.shards import file_version, list_shards
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.orchestration.runs import range_tags
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, Recipe
from adg_pipeline_tests.workbench import Workbench, records


class RestlessStore(Store):
    """A store beside which something happens, once, when a step is about to read a pool file."""

    happenings: ClassVar[list[Callable[[], object]]] = []

    def rejects_path(self, shard: str) -> Path:
        if self.happenings:
            self.happenings.pop()()
        return super().rejects_path(shard)


def read(store: Store, *shards: str, happening: Callable[[], object] | None = None) -> dg.ExecuteInProcessResult:
    """raw_pool of the shards in one run, and what happens when the first of them is read."""
    RestlessStore.happenings[:] = [happening] if happening else []
    asset = pool.build(RawPoolConfig(), dg.BackfillPolicy.multi_run(10))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(pool_shards.name or "", shards)
        return dg.materialize(
            [asset],
            instance=instance,
            resources={"store": RestlessStore(data_dir=store.data_dir)},
            tags=range_tags(shards[0], shards[-1]),
            raise_on_error=False,
        )


@pytest.mark.parametrize("change", ["replaced", "grown", "removed"])
def test_a_file_that_changes_before_it_is_read_is_left_for_the_next_run_and_others_go_on(
    bench: Workbench, change: str
) -> None:
    path, _ = bench.add("a", records(3)), bench.add("b", records(2, first=3))
    changes = {
        "replaced": lambda: bench.add("a", records(5, first=10)),
        "grown": lambda: path.open("a").write("\n"),
        "removed": path.unlink,
    }
    assert not read(bench.store, "a", "b", happening=changes[change]).success
    assert bench.store.shards("raw_pool") == ["b"]
    assert bench.store.quarantine.all() == {}
    if change == "removed":
        bench.add("a", records(3))
    assert read(bench.store, "a", "b").success
    stored = bench.store.required_provenance("raw_pool", "a")
    assert stored.rows == (5 if change == "replaced" else 3)
    assert stored.inputs["file"] == file_version(list_shards(bench.pool).shards["a"])


def test_a_partition_without_a_file_fails_by_name_and_is_not_put_aside(bench: Workbench) -> None:
    bench.add("a", records(2))
    assert not read(bench.store, "a", "gone").success
    assert bench.store.shards("raw_pool") == ["a"]
    assert bench.store.quarantine.all() == {}


def test_a_shard_is_put_aside_under_the_version_that_was_at_fault_not_the_one_that_came_meanwhile(
    bench: Workbench,
) -> None:
    """The newer one hasn't had its chance yet: put aside under its version it would never get it."""
    bench.add("a", records(2))
    at_fault = file_version(list_shards(bench.pool).shards["a"])
    assert read(bench.store, "a").success

    def compute(task: ShardTask) -> Provenance:
        bench.add("a", records(4, first=10))
        assert read(bench.store, "a").success
        raise ShardFault("no answer came")

    @dg.asset(partitions_def=pool_shards)
    def generations(context: dg.AssetExecutionContext, store: Store) -> None:
        recipe = Recipe("generations", "1", {})
        materialize_shards(context, store, lambda shard: ShardTask(shard, recipe, {}), compute, lambda stored: {})

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(pool_shards.name or "", ["a"])
        failed = dg.materialize(
            [generations],
            instance=instance,
            resources={"store": bench.store},
            partition_key="a",
            raise_on_error=False,
        )
    assert not failed.success
    assert bench.store.quarantine.all()["a"].file_version == at_fault
