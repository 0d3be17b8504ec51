"""generations: K stochastic answers of the backbone per instruction."""

import dagster as dg
import polars as pl
import pyarrow as pa

from adg_pipeline import report
from adg_pipeline.assets.shards import OpenedOnce, ShardTask, materialize_shards
from adg_pipeline.errors import ShardFault
from adg_pipeline.lineage.recipes import CODE_VERSIONS, generations_recipe
from adg_pipeline.orchestration.compute import GPU_OP_TAGS, GPU_POOL, SHARD_RETRIES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.generators.base import Generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.shard import TooManyFailures, generate_shard
from adg_pipeline.settings.launchpad import launchpad_schema, stage_config
from adg_pipeline.settings.sections import GenerationConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

DESCRIPTION = """K answers per instruction, drawn hot from the backbone that is to be tuned.

A prompt past the context is recorded as such, never cut. Finished answers are kept as they come: a crash costs at most
the batch in flight, and more samples per instruction (K) cost only the new ones.
"""


def build(defaults: GenerationConfig, backfill: dg.BackfillPolicy) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        deps=["raw_pool"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        pool=GPU_POOL,
        op_tags=GPU_OP_TAGS,
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS["generations"],
        group_name="divergence",
        kinds={"vllm", "parquet"},
        owners=["team:ml"],
        metadata={"dagster/column_schema": report.GENERATIONS_COLUMNS},
    )
    def generations(context: dg.AssetExecutionContext, store: Store, generators: GeneratorFactory) -> None:
        config = stage_config(GenerationConfig, context)
        recipe = generations_recipe(config)

        def plan(shard: str) -> ShardTask:
            return ShardTask(shard, recipe, {"raw_pool": store.required_provenance("raw_pool", shard).content})

        def compute(task: ShardTask) -> Provenance:
            return _generate(context, store, opened(), config, task)

        with OpenedOnce[Generator](lambda: generators.open(config)) as opened:
            materialize_shards(context, store, plan, compute, lambda stored: report.generations(store, stored))

    return generations


def _generate(
    context: dg.AssetExecutionContext, store: Store, generator: Generator, config: GenerationConfig, task: ShardTask
) -> Provenance:
    shard = task.shard
    paid = store.read_table("generations", shard) if shard in store.shards("generations") else None
    with AnswerJournal(store.journal_path(shard)) as journal:
        try:
            table, counts = generate_shard(
                store.read_table("raw_pool", shard),
                generator,
                config,
                journal,
                paid,
                ProgressLog(context.log.info, f"generations {shard}", "answers"),
            )
        except TooManyFailures as error:
            raise ShardFault(str(error)) from error
        if counts.misread:
            context.log.warning(
                f"generations {shard}: {counts.misread:,} instructions spell a control token, which was read as one: the "
                "chat template changes such a text, or the server takes no token ids"
            )
        facts = {**counts.facts(), "reproducibility": generator.reproducibility}
        provenance = make_provenance(
            task.recipe, shard, task.inputs, table.num_rows, content=_content(table), facts=facts
        )  # fmt: skip
        store.write_table(table, provenance)
        journal.discard()  # only now: until the table is in place the journal is the record of what was paid for
    return provenance


def _content(table: pa.Table) -> str:
    """Identifies the answers themselves, so that a shard generated anew with other answers is embedded anew.

    A sum over rows: the order of a shard's rows doesn't matter.
    """
    frame = pl.from_arrow(table.select(["example_id", "status", "answers"]))
    assert isinstance(frame, pl.DataFrame)
    halves = (int(frame.hash_rows(seed=seed).sum() or 0) for seed in (1, 2))
    return "".join(f"{half & (2**64 - 1):016x}" for half in halves)
