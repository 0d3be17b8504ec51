"""fingerprints: what each example's text is compared by."""

from functools import cache
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa

from adg_pipeline import report
from adg_pipeline.algorithms.contamination import HITS, PRESETS, BenchmarkIndex, Rule
from adg_pipeline.algorithms.duplicates import BANDS, PERMUTATIONS, band_keys, signatures
from adg_pipeline.assets.asked import asked
from adg_pipeline.assets.shards import ShardTask, Stopwatch, materialize_shards
from adg_pipeline.lineage.benchmark_items import benchmark_items
from adg_pipeline.lineage.recipes import CODE_VERSIONS, fingerprints_recipe
from adg_pipeline.models.devices import cpu
from adg_pipeline.orchestration.compute import SHARD_RETRIES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import FingerprintConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

NAME = "fingerprints"
DESCRIPTION = """What is told of each example's text alone, without any model: a MinHash signature with the keys by which near
duplicates meet, and which item of a benchmark it gives away, if `benchmarks` are named.

Only selections that leave near duplicates or contaminated examples out need it (`selected_subset.near_duplicates`,
`selected_subset.decontaminate`); which examples are duplicates is told over all shards at once.
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
        index = cache(lambda: benchmark_index(config))  # read for the first shard that is computed

        def plan(shard: str) -> ShardTask:
            return ShardTask(shard, recipe, {"raw_pool": store.required_provenance("raw_pool", shard).content})

        def compute(task: ShardTask) -> Provenance:
            watch = Stopwatch(cpu())
            raw = pl.from_arrow(store.read_table("raw_pool", task.shard, ["example_id", *TEXT_COLUMNS]))
            assert isinstance(raw, pl.DataFrame)
            table = fingerprint_table(raw, config, index())
            facts = {**_contaminated(table), **watch.facts()}
            provenance = make_provenance(task.recipe, task.shard, task.inputs, table.num_rows, facts=facts)
            store.write_table(table, provenance)
            return provenance

        materialize_shards(context, store, plan, compute, report.fingerprints)

    return fingerprints


TEXT_COLUMNS = ("instruction", "input", "output", "messages")


def benchmark_index(config: FingerprintConfig) -> BenchmarkIndex | None:
    """None where no benchmarks are named."""
    if not config.benchmarks:
        return None
    preset = PRESETS[config.benchmark_rule]
    coverage = preset.coverage if config.benchmark_coverage is None else config.benchmark_coverage
    rule = Rule(config.benchmark_words or preset.words, coverage)
    items = [item for place in config.benchmarks for item in benchmark_items(place)]
    return BenchmarkIndex(items, rule, config.benchmark_text)


def fingerprint_table(raw: pl.DataFrame, config: FingerprintConfig, index: BenchmarkIndex | None = None) -> pa.Table:
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
            **_hits(raw, index),
        }
    )


def _hits(raw: pl.DataFrame, index: BenchmarkIndex | None) -> dict[str, pa.Array]:
    """The columns of `HITS`: what of a benchmark each example gives away, in all that it says."""
    if index is None:
        return {}
    asked = raw.select(pl.concat_str(["instruction", "input"], separator="\n")).to_series()
    found = index.find(questions(raw) + "\n" + raw["output"], asked)
    return {name: found[name].to_arrow() for name in HITS}


def _contaminated(table: pa.Table) -> dict[str, Any]:
    """How many examples give an item away, of all benchmarks and of each."""
    if "benchmark" not in table.schema.names:
        return {}
    hits = pl.Series(table["benchmark"]).drop_nulls()
    by_name = hits.value_counts(sort=True)
    return {"contaminated": len(hits), "by_benchmark": dict(by_name.iter_rows())}


def questions(raw: pl.DataFrame) -> pl.Series:
    """What is asked: instruction and input, of a conversation everything before its last turn."""
    turn = pl.element().struct
    said = pl.concat_str([turn.field("content"), turn.field("tool_calls")], separator="\n", ignore_nulls=True)
    before = pl.col("messages").list.head(pl.col("messages").list.len().cast(pl.Int64) - 1)
    alone = pl.concat_str(["instruction", "input"], separator="\n")
    asked_of_conversation = before.list.eval(said).list.join("\n")
    return raw.select(pl.when(pl.col("messages").is_null()).then(alone).otherwise(asked_of_conversation)).to_series()
