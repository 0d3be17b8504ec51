"""fingerprints: what each example's text is compared by."""

import dagster as dg
import polars as pl
import pyarrow as pa

from adg_pipeline import report
from adg_pipeline.algorithms.duplicates import BANDS, PERMUTATIONS, band_keys, signatures
from adg_pipeline.assets.asked import asked
from adg_pipeline.assets.shards import ShardTask, Stopwatch, materialize_shards
from adg_pipeline.lineage.recipes import CODE_VERSIONS, fingerprints_recipe
from adg_pipeline.models.devices import cpu
from adg_pipeline.orchestration.compute import SHARD_RETRIES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import FingerprintConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

NAME = "fingerprints"
DESCRIPTION = """What each example's text is compared by: a MinHash signature, and the keys by which near duplicates meet.

Of the text alone, without any model: a hundredth of a second for a thousand examples. Only selections that leave near
duplicates out need them (`selected_subset.near_duplicates`); which examples those are is told over all shards at once.
"""


def build(defaults: FingerprintConfig, backfill: dg.BackfillPolicy) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        deps=["raw_pool"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS[NAME],
        group_name="pool",
        kinds={"polars", "parquet"},
        owners=["team:data"],
        metadata={"dagster/column_schema": report.FINGERPRINT_COLUMNS},
    )
    def fingerprints(context: dg.AssetExecutionContext, store: Store) -> None:
        config, _ = asked(context, store, FingerprintConfig)
        recipe = fingerprints_recipe(config)

        def plan(shard: str) -> ShardTask:
            return ShardTask(shard, recipe, {"raw_pool": store.required_provenance("raw_pool", shard).content})

        def compute(task: ShardTask) -> Provenance:
            watch = Stopwatch(cpu())
            raw = pl.from_arrow(store.read_table("raw_pool", task.shard, ["example_id", *TEXT_COLUMNS]))
            assert isinstance(raw, pl.DataFrame)
            table = fingerprint_table(raw, config)
            facts = watch.facts()
            provenance = make_provenance(task.recipe, task.shard, task.inputs, table.num_rows, facts=facts)
            store.write_table(table, provenance)
            return provenance

        materialize_shards(context, store, plan, compute, report.fingerprints)

    return fingerprints


TEXT_COLUMNS = ("instruction", "input", "output", "messages")


def fingerprint_table(raw: pl.DataFrame, config: FingerprintConfig) -> pa.Table:
    """One row per example, in the order given. raw: example_id and `TEXT_COLUMNS`."""
    signed = signatures(questions(raw) + (("\n" + raw["output"]) if config.text != "question" else ""), config.words)
    keys = band_keys(signed)
    return pa.table(
        {
            "example_id": raw["example_id"].to_arrow(),
            "signature": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(4 * PERMUTATIONS), len(signed), [None, pa.py_buffer(signed.astype("<u4"))]
            ),
            "bands": pa.FixedSizeListArray.from_arrays(pa.array(keys.ravel()), BANDS),
        }
    )


def questions(raw: pl.DataFrame) -> pl.Series:
    """What is asked: instruction and input, of a conversation everything before its last turn."""
    turn = pl.element().struct
    said = pl.concat_str([turn.field("content"), turn.field("tool_calls")], separator="\n", ignore_nulls=True)
    before = pl.col("messages").list.head(pl.col("messages").list.len().cast(pl.Int64) - 1)
    alone = pl.concat_str(["instruction", "input"], separator="\n")
    asked_of_conversation = before.list.eval(said).list.join("\n")
    return raw.select(pl.when(pl.col("messages").is_null()).then(alone).otherwise(asked_of_conversation)).to_series()
