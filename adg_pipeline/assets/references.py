"""reference_losses: how likely the backbone finds each reference answer."""

import dagster as dg

from adg_pipeline import report
from adg_pipeline.assets.asked import asked, generation_asked
from adg_pipeline.assets.shards import OpenedOnce, ShardTask, materialize_shards
from adg_pipeline.lineage.recipes import CODE_VERSIONS, reference_losses_recipe
from adg_pipeline.orchestration.compute import GPU_OP_TAGS, GPU_POOL, SHARD_RETRIES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.generators.base import Generator
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

DESCRIPTION = """How likely the backbone finds each reference: mean token log-probabilities, given the prompt and alone.

A forward pass or two per example, nothing is sampled. Only arms that read them need them (`adg_grounded`, `ifd` and
others): they tell an example that the backbone half knows from one that is noise to it.
"""


def build(
    defaults: ReferenceLossConfig, generation: GenerationConfig, backfill: dg.BackfillPolicy
) -> dg.AssetsDefinition:
    """generation: the backbone that scores, its engine and its template."""

    @dg.asset(
        description=DESCRIPTION,
        deps=["raw_pool", "generations"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        pool=GPU_POOL,
        op_tags=GPU_OP_TAGS,
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS["reference_losses"],
        group_name="divergence",
        kinds={"vllm", "parquet"},
        owners=["team:ml"],
        metadata={"dagster/column_schema": report.REFERENCE_COLUMNS},
    )
    def reference_losses(context: dg.AssetExecutionContext, store: Store, generators: GeneratorFactory) -> None:
        config, _ = asked(context, store, ReferenceLossConfig)
        sampled = generation_asked(context, store, generation)
        recipe = reference_losses_recipe(config, sampled)

        def plan(shard: str) -> ShardTask:
            made_from = {name: store.required_provenance(name, shard).content for name in ("raw_pool", "generations")}
            return ShardTask(shard, recipe, made_from)

        def compute(task: ShardTask) -> Provenance:
            progress = ProgressLog(context.log.info, f"reference_losses {task.shard}", "examples")
            raw, answers = store.read_table("raw_pool", task.shard), store.read_table("generations", task.shard)
            table, facts = score_references(raw, answers, opened(), config, progress)
            provenance = make_provenance(task.recipe, task.shard, task.inputs, table.num_rows, facts=facts)
            store.write_table(table, provenance)
            return provenance

        with OpenedOnce[Generator](lambda: generators.open(config.scorer(sampled))) as opened:
            materialize_shards(context, store, plan, compute, report.references)

    return reference_losses
