"""token_counts: how many tokens of the backbone each example has."""

from functools import cache

import dagster as dg
import pyarrow as pa

from adg_pipeline import report
from adg_pipeline.assets.asked import generation_asked
from adg_pipeline.assets.shards import ShardTask, Stopwatch, materialize_shards
from adg_pipeline.errors import PipelineError
from adg_pipeline.lineage.recipes import CODE_VERSIONS, token_counts_recipe
from adg_pipeline.models.backbones import resolve_backbone
from adg_pipeline.models.devices import cpu
from adg_pipeline.models.templates import PromptTemplate, open_prompt_template
from adg_pipeline.orchestration.compute import SHARD_RETRIES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.orchestration.preflight import UNNAMED
from adg_pipeline.resources.losses.tokens import count_tokens
from adg_pipeline.settings.sections import GenerationConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

NAME = "token_counts"
DESCRIPTION = """How many tokens each example has: prompt and reference, as the backbone's tokenizer and template have them.

The tokenizer alone is loaded, no model. Only selections with a budget in tokens or with bounds of length read it
(`selected_subset.budget_tokens`, `min_tokens`, `max_tokens`).
"""


def build(generation: GenerationConfig, backfill: dg.BackfillPolicy) -> dg.AssetsDefinition:
    """generation: whose backbone's tokenizer counts, and its template."""

    @dg.asset(
        description=DESCRIPTION,
        deps=["raw_pool"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS[NAME],
        group_name="pool",
        kinds={"transformers", "parquet"},
        owners=["team:data"],
        metadata={"dagster/column_schema": report.TOKEN_COLUMNS},
    )
    def token_counts(context: dg.AssetExecutionContext, store: Store) -> None:
        sampled = generation_asked(context, store, generation)
        recipe = token_counts_recipe(sampled)

        def plan(shard: str) -> ShardTask:
            return ShardTask(shard, recipe, {"raw_pool": store.required_provenance("raw_pool", shard).content})

        template = cache(lambda: _template(sampled))  # loaded for the first shard that is computed

        def compute(task: ShardTask) -> Provenance:
            counter, watch = template(), Stopwatch(cpu())
            table = count_tokens(store.read_table("raw_pool", task.shard), counter)
            facts = {**_facts(table), **watch.facts()}
            provenance = make_provenance(task.recipe, task.shard, task.inputs, table.num_rows, facts=facts)
            store.write_table(table, provenance)
            return provenance

        materialize_shards(context, store, plan, compute, report.token_counts)

    return token_counts


def _template(config: GenerationConfig) -> PromptTemplate:
    if not config.backbone_is_known:
        raise PipelineError(f"generations.backbone: {UNNAMED}")
    return open_prompt_template(
        resolve_backbone(config.backbone, config.revision),
        config.revision,
        config.template,
        config.template_options,
        config.system_text == "fold",
    )


def _facts(table: pa.Table) -> dict[str, int]:
    prompts, references = (sum(one or 0 for one in table[name].to_pylist()) for name in table.column_names[1:])
    return {
        "prompt_tokens": prompts,
        "reference_tokens": references,
        "not_counted": table["reference_tokens"].null_count,
    }
