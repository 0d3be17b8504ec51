"""generations: K stochastic answers of the backbone per instruction."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import dagster as dg
import polars as pl
import pyarrow as pa

from adg_pipeline import report
from adg_pipeline.assets import references
from adg_pipeline.assets.asked import asked_of, generation_asked
from adg_pipeline.assets.shards import OpenedOnce, ShardTask, Stopwatch, compute_alongside, materialize_shards
from adg_pipeline.errors import ShardFault
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.recipes import CODE_VERSIONS, generations_recipe
from adg_pipeline.lineage.states import answers_elsewhere
from adg_pipeline.orchestration.compute import GPU_POOL, SHARD_RETRIES, gpu_op_tags
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.generators.base import Answer, Generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.paid import find_answers, request_ids, without
from adg_pipeline.resources.generators.shard import TooManyFailures, generate_shard
from adg_pipeline.settings.launchpad import launchpad_schema, stage_config
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

DESCRIPTION = """K answers per instruction, drawn hot from the backbone that is to be tuned.

A prompt past the context is recorded as such, never cut. Finished answers are kept as they come: a crash costs at most
the batch in flight, and more samples per instruction (K) cost only the new ones. Answers follow their questions: a file
that is renamed or split otherwise keeps them.
"""


def build(defaults: GenerationConfig, backfill: dg.BackfillPolicy) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        deps=["raw_pool"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        pool=GPU_POOL,
        op_tags=gpu_op_tags(defaults.gpus_needed),
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

        paid = PaidElsewhere(store)

        def compute(task: ShardTask) -> Provenance:
            return _generate(context, store, opened(), config, task, paid)

        with OpenedOnce[Generator](lambda: generators.open(config)) as opened:
            materialize_shards(context, store, plan, compute, lambda stored: report.generations(store, stored))
            # An engine can't pass from one step's process to another's, so references are scored here while it is open.
            losses = asked_of(context, store, ReferenceLossConfig, references.NAME) if opened.is_open else None
            if losses is not None:
                sampled = generation_asked(context, store, defaults)
                if losses.scorer(sampled) == config:
                    scoring = references.Scoring(store, losses, sampled, opened, context.log.info)
                    compute_alongside(context, store, references.NAME, scoring.plan, scoring.compute)

    return generations


class PaidElsewhere:
    """Answers that follow their questions into another shard. What to look through is found at the first need."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._files: list[Path] | None = None

    def find(self, requests: Collection[str]) -> Mapping[str, Answer]:
        while True:
            try:
                return find_answers(self._places(), requests)
            except FileNotFoundError:
                continue  # it has just been moved to what is kept

    def _places(self) -> Iterator[Path]:
        """What is kept comes last: what a shard loses in this moment is there before the shard has lost it."""
        if self._files is None:
            self._files = answers_elsewhere(self._store, list_shards(self._store.pool_dir))
        yield from (path for path in self._files if path.exists())
        yield from self._store.kept_answers.files()


def _generate(
    context: dg.AssetExecutionContext,
    store: Store,
    generator: Generator,
    config: GenerationConfig,
    task: ShardTask,
    elsewhere: PaidElsewhere,
) -> Provenance:
    shard, watch = task.shard, Stopwatch(generator.hardware)
    paid = store.read_table("generations", shard) if shard in store.shards("generations") else None
    with AnswerJournal(store.journal_path(shard)) as journal:
        try:
            table, counts = generate_shard(
                store.read_table("raw_pool", shard),
                generator,
                config,
                journal,
                paid,
                elsewhere.find,
                ProgressLog(context.log.info, f"generations {shard}", "answers"),
            )
        except TooManyFailures as error:
            raise ShardFault(str(error)) from error
        if counts.misread:
            context.log.warning(
                f"generations {shard}: {counts.misread:,} instructions spell a control token, which was read as one: the "
                "chat template changes such a text, or the server takes no token ids"
            )
        facts = {**counts.facts(), **watch.facts(), "reproducibility": generator.reproducibility}
        provenance = make_provenance(
            task.recipe, shard, task.inputs, table.num_rows, content=_content(table), facts=facts
        )  # fmt: skip
        requests = request_ids(table)
        if paid is not None and (gone := without(paid, requests)).num_rows:
            store.kept_answers.put(shard, gone)
        store.write_table(table, provenance)
        # Only now: until the table is in place the journal is the record of what was paid for.
        told = journal.request_ids <= requests
        if told:
            journal.discard()
    if not told:
        store.kept_answers.take(store.journal_path(shard))
    return provenance


def _content(table: pa.Table) -> str:
    """Identifies the answers themselves, so that a shard generated anew with other answers is embedded anew.

    A sum over rows: the order of a shard's rows doesn't matter.
    """
    frame = pl.from_arrow(table.select(["example_id", "status", "answers"]))
    assert isinstance(frame, pl.DataFrame)
    halves = (int(frame.hash_rows(seed=seed).sum() or 0) for seed in (1, 2))
    return "".join(f"{half & (2**64 - 1):016x}" for half in halves)
