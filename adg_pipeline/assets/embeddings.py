"""answer_embeddings and instruction_embeddings: unit vectors in LanceDB."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa

from adg_pipeline import report
from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.assets.asked import generation_asked
from adg_pipeline.assets.shards import OpenedOnce, ShardTask, Stopwatch, materialize_shards
from adg_pipeline.errors import ShardFault
from adg_pipeline.lineage.recipes import CODE_VERSIONS, answer_embeddings_recipe, instruction_embeddings_recipe
from adg_pipeline.orchestration.compute import GPU_POOL, SHARD_RETRIES, gpu_op_tags
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.embedders import Embedder
from adg_pipeline.resources.embedders.shard import ShardReading
from adg_pipeline.resources.factories import EmbedderFactory
from adg_pipeline.settings.launchpad import launchpad_schema, stage_config
from adg_pipeline.settings.sections import EmbeddingConfig, GenerationConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance
from adg_pipeline.store.vectors import vector_batch

# Examples embedded and written at a time: bounds memory, and gives the embedder enough to sort by length.
BATCH = 512

ANSWERS_DESCRIPTION = """One unit vector per sampled answer, in the LanceDB table `answer_embeddings`.

The embedder is a sentence-transformers model, or the paper's pooling of the backbone's hidden states. A text longer
than it reads at a time is read in windows. A shard is one atomic commit.
"""
INSTRUCTIONS_DESCRIPTION = """One unit vector per instruction, in the LanceDB table `instruction_embeddings`: the space
of the semantic bins. Made by the same embedder as the answers' vectors; the instruction alone, without its input.
"""


def build(
    defaults: EmbeddingConfig, generation: GenerationConfig, backfill: dg.BackfillPolicy
) -> list[dg.AssetsDefinition]:
    """generation: whose backbone is read where `model: auto` stands for it."""

    @dg.asset(
        description=ANSWERS_DESCRIPTION,
        deps=["generations", "raw_pool"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        pool=GPU_POOL,
        op_tags=gpu_op_tags(defaults.gpus_needed),
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS["answer_embeddings"],
        group_name="divergence",
        kinds={"lancedb", "huggingface"},
        owners=["team:ml"],
        metadata={"dagster/column_schema": report.VECTOR_COLUMNS},
    )
    def answer_embeddings(context: dg.AssetExecutionContext, store: Store, embedders: EmbedderFactory) -> None:
        config = stage_config(EmbeddingConfig, context)
        sampled = generation_asked(context, store, generation)

        def plan(shard: str) -> ShardTask:
            answers = store.required_provenance("generations", shard)
            recipe = answer_embeddings_recipe(config, sampled.backbone, sampled.revision, answers.recipe)
            return ShardTask(shard, recipe, {"generations": answers.content})

        def compute(task: ShardTask) -> Provenance:
            texts = _answers(store, task.shard)
            return _embed(context, store, task, opened(), texts, config)

        with OpenedOnce[Embedder](lambda: embedders.open(config, sampled.backbone, sampled.revision)) as opened:
            materialize_shards(context, store, plan, compute, report.vectors)

    @dg.asset(
        description=INSTRUCTIONS_DESCRIPTION,
        deps=["raw_pool"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        pool=GPU_POOL,
        op_tags=gpu_op_tags(defaults.gpus_needed),
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS["instruction_embeddings"],
        group_name="pool",
        kinds={"lancedb", "huggingface"},
        owners=["team:ml"],
        metadata={"dagster/column_schema": report.VECTOR_COLUMNS},
    )
    def instruction_embeddings(context: dg.AssetExecutionContext, store: Store, embedders: EmbedderFactory) -> None:
        config = stage_config(EmbeddingConfig, context)
        sampled = generation_asked(context, store, generation)
        recipe = instruction_embeddings_recipe(config, sampled.backbone, sampled.revision)

        def plan(shard: str) -> ShardTask:
            return ShardTask(shard, recipe, {"raw_pool": store.required_provenance("raw_pool", shard).content})

        def compute(task: ShardTask) -> Provenance:
            raw = pl.from_arrow(store.read_table("raw_pool", task.shard, ["example_id", "instruction"]))
            assert isinstance(raw, pl.DataFrame)
            return _embed(context, store, task, opened(), raw, config)

        with OpenedOnce[Embedder](lambda: embedders.open(config, sampled.backbone, sampled.revision)) as opened:
            materialize_shards(context, store, plan, compute, report.vectors)

    return [answer_embeddings, instruction_embeddings]


def _answers(store: Store, shard: str) -> pl.DataFrame:
    """example_id, instruction (with its input: the answer is read in its context) and answers of a shard."""
    generated = pl.from_arrow(store.read_table("generations", shard, ["example_id", "status", "answers"]))
    raw = pl.from_arrow(store.read_table("raw_pool", shard, ["example_id", "instruction", "input"]))
    assert isinstance(generated, pl.DataFrame)
    assert isinstance(raw, pl.DataFrame)
    asked = [user_turn(*texts) for texts in raw.select("instruction", "input").iter_rows()]
    raw = raw.select("example_id", pl.Series("instruction", asked))
    return generated.filter(pl.col("status") == "ok").join(raw, on="example_id", maintain_order="left")


def _embed(
    context: dg.AssetExecutionContext,
    store: Store,
    task: ShardTask,
    embedder: Embedder,
    texts: pl.DataFrame,
    config: EmbeddingConfig,
) -> Provenance:
    """Embed and store a shard. Examples whose vectors are not finite are left out, counted and named.

    Raises ShardFault once there are more of them than `max_failed_share` allows, or more that the embedder can't read
    than `max_unknown_share` does.
    """
    watch = Stopwatch(embedder.hardware)
    progress = ProgressLog(context.log.info, f"{task.recipe.asset} {task.shard}", "instructions")
    not_finite: list[str] = []
    read = ShardReading(texts.height)
    written = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal written
        for start in range(0, texts.height, BATCH):
            part = texts.slice(start, BATCH)
            instructions, ids = part["instruction"].to_list(), part["example_id"].to_numpy()

            def within(done: int, total: int, start: int = start, height: int = part.height) -> None:
                progress(start + done * height // max(total, 1), texts.height)

            if "answers" in part.columns:
                vectors = embedder.embed_answers(instructions, part["answers"].to_list(), within)
            else:
                vectors = embedder.embed_instructions(instructions, within)[:, None, :]
            read.add(ids.tolist(), embedder.reading)
            read.check(config.max_unknown_share)
            finite = np.isfinite(vectors).all(axis=(1, 2))
            not_finite.extend(ids[~finite].tolist())
            if len(not_finite) > config.max_failed_share * texts.height:
                raise ShardFault(
                    f"{len(not_finite)} of {texts.height} examples have vectors that are NaN or infinite so far, more than "
                    f"embeddings.max_failed_share = {config.max_failed_share:g} allows; the first is {not_finite[0]}. The "
                    "model overflows: set embeddings.dtype to float32, use another model, or raise max_failed_share, then "
                    "`adg run --retry`"
                )
            written += int(finite.sum()) * vectors.shape[1]
            yield vector_batch(task.shard, ids[finite].tolist(), vectors[finite])
        for warning in read.warnings():
            context.log.warning(f"{task.recipe.asset} {task.shard}: {warning}")

    def provenance() -> Provenance:
        facts = {
            "dimension": embedder.dimension,
            "examples": texts.height - len(not_finite),
            **read.facts(),
            **watch.facts(),
            "not_finite": len(not_finite),
            "not_finite_ids": not_finite[:100],
        }
        return make_provenance(task.recipe, task.shard, task.inputs, written, facts=facts)

    return store.vectors.write(task.recipe.asset, task.shard, embedder.dimension, batches(), provenance)
