"""Jobs: the parts of the graph that sensors, schedules and the command line start."""

import dagster as dg

from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.states import SOURCES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.orchestration.runs import (
    BENCHMARKS_JOB,
    CHECKPOINT_JOB,
    COMPARISON_JOB,
    REMOVE_SHARDS_JOB,
    SELECTION_JOB,
    SHARDS_JOB,
    shards_in_flight,
)
from adg_pipeline.store import Store

shards_job = dg.define_asset_job(
    SHARDS_JOB,
    selection=dg.AssetSelection.assets(*SOURCES),
    description="Everything that is computed per shard, from the pool file to its scores.",
)
selection_job = dg.define_asset_job(
    SELECTION_JOB,
    selection=dg.AssetSelection.assets("semantic_bins", "query_states", "selected_subset"),
    description="Semantic bins, the subset of one arm with what it reads of its own, and the checks of what is stored.",
)
checkpoint_job = dg.define_asset_job(
    CHECKPOINT_JOB,
    selection=dg.AssetSelection.assets("finetuned_checkpoint"),
    description="The backbone fine-tuned on the subset of one arm, with one seed.",
)
benchmarks_job = dg.define_asset_job(
    BENCHMARKS_JOB,
    selection=dg.AssetSelection.assets("benchmark_results"),
    description="Benchmarks of the checkpoint of one arm and seed.",
)
comparison_job = dg.define_asset_job(
    COMPARISON_JOB,
    selection=dg.AssetSelection.assets("comparison_report"),
    description="The report that compares arms on what is stored.",
)


class RemovedShards(dg.Config):
    """Shards whose pool file is gone."""

    shards: list[str]


@dg.op(description="Removes rows, vectors, unfinished answers and the partition of shards whose file is gone.")
def remove_shards(context: dg.OpExecutionContext, config: RemovedShards, store: Store) -> None:
    # Looked at again: a file may have come back while this run was waiting, and its answers were paid for.
    listing, busy = list_shards(store.pool_dir), shards_in_flight(context.instance)
    for shard in config.shards:
        if shard in listing.shards or shard in listing.unusable:
            context.log.info(f"shard {shard} is kept: its file is back")
            continue
        if shard in busy:
            context.log.info(f"shard {shard} is kept until the run that computes it has ended")
            continue
        store.remove_shard(shard)
        context.instance.delete_dynamic_partition(pool_shards.name or "", shard)
        context.log.info(f"removed shard {shard}: tables, vectors and partition")


@dg.job(name=REMOVE_SHARDS_JOB)
def remove_shards_job() -> None:
    remove_shards()


JOBS = (shards_job, selection_job, checkpoint_job, benchmarks_job, comparison_job, remove_shards_job)
