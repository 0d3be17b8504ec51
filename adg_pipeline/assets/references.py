"""reference_losses: how likely the backbone finds each reference answer."""

from collections.abc import Callable, Sequence

import dagster as dg
import pyarrow as pa

from adg_pipeline import report
from adg_pipeline.assets.asked import asked, generation_asked
from adg_pipeline.assets.shards import OpenedOnce, ShardTask, Stopwatch, materialize_shards
from adg_pipeline.lineage.recipes import CODE_VERSIONS, reference_losses_recipe
from adg_pipeline.models.devices import pick_device
from adg_pipeline.orchestration.compute import GPU_POOL, SHARD_RETRIES, gpu_op_tags
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.generators.base import Generator
from adg_pipeline.resources.losses.ranker import Ranker
from adg_pipeline.resources.losses.schema import ON_REQUEST
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

NAME = "reference_losses"
DESCRIPTION = """How likely the backbone finds each reference: mean token log-probabilities, given the prompt and alone.

A forward pass or two per example, nothing is sampled. Only arms that read them need them (`adg_grounded`, `ifd` and
others): they tell an example that the backbone half knows from one that is noise to it. What is computed in one run with
the answers is computed by the step of `generations`, whose engine is open then.
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
        op_tags=gpu_op_tags(defaults.scorer(generation).gpus_needed),
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS[NAME],
        group_name="divergence",
        kinds={"vllm", "parquet"},
        owners=["team:ml"],
        metadata={"dagster/column_schema": report.REFERENCE_COLUMNS},
    )
    def reference_losses(context: dg.AssetExecutionContext, store: Store, generators: GeneratorFactory) -> None:
        config, _ = asked(context, store, ReferenceLossConfig)
        sampled = generation_asked(context, store, generation)
        with OpenedOnce[Generator](lambda: generators.open(config.scorer(sampled))) as opened:
            scoring = Scoring(store, config, sampled, opened, context.log.info)
            materialize_shards(context, store, scoring.plan, scoring.compute, report.references)

    return reference_losses


class Scoring:
    """How shards' references are scored, by whichever step has the engine open.

    opened: gives the scorer, open. say: takes progress in words.
    """

    def __init__(
        self,
        store: Store,
        config: ReferenceLossConfig,
        sampled: GenerationConfig,
        opened: Callable[[], Generator],
        say: Callable[[str], None],
    ) -> None:
        self._store, self._config, self._opened, self._say = store, config, opened, say
        self._device = sampled.device
        self._recipe = reference_losses_recipe(config, sampled)
        self._ranker: Ranker | None = None

    def plan(self, shard: str) -> ShardTask:
        sources = ("raw_pool", "generations")
        made_from = {name: self._store.required_provenance(name, shard).content for name in sources}
        return ShardTask(shard, self._recipe, made_from)

    def compute(self, task: ShardTask) -> Provenance:
        store, shard = self._store, task.shard
        # The engine comes first: with it the GPU is leased.
        generator = self._opened()
        if self._config.ranker is not None and self._ranker is None:
            self._ranker = Ranker(self._config.ranker, pick_device(self._device))
        watch = Stopwatch(generator.hardware)
        table, facts = score_references(
            store.read_table("raw_pool", shard),
            store.read_table("generations", shard),
            generator,
            self._config,
            ProgressLog(self._say, f"{NAME} {shard}", "examples"),
            known=self._known(task),
            ranker=self._ranker,
        )
        provenance = make_provenance(task.recipe, shard, task.inputs, table.num_rows, facts={**facts, **watch.facts()})
        store.write_table(table, provenance)
        return provenance

    def _known(self, task: ShardTask) -> pa.Table | None:
        """What is stored of the same examples and answers, without what other settings would have given otherwise."""
        stored = self._store.provenance(NAME, task.shard)
        if stored is None or dict(stored.inputs) != dict(task.inputs):
            return None
        before, now = dict(stored.recipe.config), dict(task.recipe.config)
        changed: list[Sequence[str]] = [
            columns for name, columns in ON_REQUEST.items() if before.pop(name, None) != now.pop(name, None)
        ]
        if before != now or stored.recipe.code_version != task.recipe.code_version:
            return None
        table = self._store.read_table(NAME, task.shard)
        others = {name for columns in changed for name in columns}
        return table.drop_columns([name for name in table.column_names if name in others])
