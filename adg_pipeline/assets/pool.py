"""raw_pool: a pool file in the canonical schema, every record accepted or rejected with its reason."""

from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from adg_pipeline import report
from adg_pipeline.assets.shards import ShardTask, materialize_shards
from adg_pipeline.formats.convert import ConversionSummary, PoolFileChanged, convert
from adg_pipeline.formats.fields import with_counts
from adg_pipeline.formats.origins import origin_facts
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.clashes import NamedExamples
from adg_pipeline.lineage.recipes import CODE_VERSIONS, raw_pool_recipe
from adg_pipeline.orchestration.compute import SHARD_RETRIES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.progress import ProgressLog
from adg_pipeline.settings.launchpad import launchpad_schema, stage_config
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance
from adg_pipeline.store.tables import PROVENANCE_KEY

DESCRIPTION = """A file of the pool directory in one canonical schema.

Reads Alpaca, OpenAI messages, ShareGPT, prompt/completion, preference pairs, self-instruct, FLAN CoT and Parquet files,
plain, gzip or zstd. Every record is accepted, or rejected with its place and reason: *read = accepted + rejected*. Keys
that nothing was made of are named.
"""


def build(defaults: RawPoolConfig, backfill: dg.BackfillPolicy) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS["raw_pool"],
        group_name="pool",
        kinds={"polars", "parquet"},
        owners=["team:data"],
        metadata={"dagster/column_schema": report.RAW_POOL_COLUMNS},
    )
    def raw_pool(context: dg.AssetExecutionContext, store: Store) -> None:
        config = stage_config(RawPoolConfig, context)
        recipe = raw_pool_recipe(config)
        listing = list_shards(store.pool_dir)
        named = NamedExamples(store, listing.shards)

        def plan(shard: str) -> ShardTask:
            file = listing.shards.get(shard)
            return ShardTask(shard, recipe, {"file": "missing" if file is None else store.file_version(shard, file)})

        def compute(task: ShardTask) -> Provenance:
            file = listing.shards.get(task.shard)
            if file is None:
                raise PoolFileChanged(
                    f"the pool directory {store.pool_dir} holds no file for shard {task.shard}: put it back, or delete "
                    "the partition"
                )
            progress = ProgressLog(context.log.info, f"raw_pool {task.shard}", "bytes")
            stored: list[Provenance] = []

            def stamp(summary: ConversionSummary) -> dict[str, str]:
                # Before anything is paid for what is left.
                for note in (*_rejected(summary), *summary.notes):
                    context.log.warning(f"raw_pool {task.shard}: {note}")
                facts = {
                    "file": file.path.name,
                    "format": summary.format,
                    "read": summary.read,
                    "rejected": summary.rejected,
                    "reasons": summary.reasons,
                    "named_ids": summary.named_ids,
                    "sha256": summary.sha256,
                    **origin_facts(file.path),
                    **summary.noted,
                }
                stored.append(
                    make_provenance(
                        task.recipe, task.shard, task.inputs, summary.accepted, summary.content_fingerprint, facts
                    )
                )
                return {PROVENANCE_KEY.decode(): stored[0].to_json()}

            def check(summary: ConversionSummary, table: Path) -> None:
                if summary.named_ids:
                    named.require_unique(task.shard, pq.read_table(table, columns=["example_id", "content_hash"]))

            convert(
                file.at_hand(),
                store.table_path("raw_pool", task.shard),
                store.rejects_path(task.shard),
                config,
                metadata=stamp,
                progress=progress,
                check=check,
                listed=file,
            )
            return stored[0]

        materialize_shards(context, store, plan, compute, lambda stored: report.raw_pool(store, stored))

    return raw_pool


def _rejected(summary: ConversionSummary) -> list[str]:
    told = f"{summary.rejected:,} of {summary.read:,} records rejected ({with_counts(summary.reasons)})"
    return [told] if summary.rejected else []
