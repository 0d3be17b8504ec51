"""divergence_scores: dispersion and anisotropy of each instruction's answers."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline import report
from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.assets.shards import ShardTask, Stopwatch, materialize_shards
from adg_pipeline.errors import ShardFault, StoreError
from adg_pipeline.lineage.recipes import CODE_VERSIONS, divergence_scores_recipe
from adg_pipeline.models.devices import cpu
from adg_pipeline.orchestration.compute import SHARD_RETRIES
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.settings.launchpad import launchpad_schema, stage_config
from adg_pipeline.settings.sections import ScoreConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

DESCRIPTION = """How far apart (dispersion) and how multi-directional (anisotropy) each instruction's K answers lie.

Beside them the diagnostics that the two can't tell: effective rank, number of modes, share of the largest mode, empty and
distinct answers. The weight λ is applied at selection, so that changing it recomputes nothing here.
"""

Batches = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]
UNSEEN = r"[\s\p{Cc}\p{Cf}\u{FE00}-\u{FE0F}]+"
INDISTINCT = pl.col("differ") & (pl.col("dispersion") == 0)
NUMBERS = ("dispersion", "anisotropy", "effective_rank", "largest_mode_share")
# What spectral scores, the first k answers and a jackknife over the answers are computed from, without vectors. float32
# holds what rounding has left of a cosine, at half the size.
LISTS = {"eigenvalues": pl.Float64, "mode_sizes": pl.Int32, "cosines": pl.Float32}


def build(defaults: ScoreConfig, backfill: dg.BackfillPolicy) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        deps=["answer_embeddings", "generations", "raw_pool"],
        partitions_def=pool_shards,
        backfill_policy=backfill,
        config_schema=launchpad_schema(defaults),
        retry_policy=SHARD_RETRIES,
        code_version=CODE_VERSIONS["divergence_scores"],
        group_name="divergence",
        kinds={"numpy", "parquet"},
        owners=["team:ml"],
        metadata={"dagster/column_schema": report.SCORE_COLUMNS},
    )
    def divergence_scores(context: dg.AssetExecutionContext, store: Store) -> None:
        config = stage_config(ScoreConfig, context)

        def plan(shard: str) -> ShardTask:
            answers = store.required_provenance("answer_embeddings", shard)
            recipe = divergence_scores_recipe(config, answers.recipe)
            return ShardTask(shard, recipe, {"answer_embeddings": answers.content})

        def compute(task: ShardTask) -> Provenance:
            watch = Stopwatch(cpu())
            scored = _scored(store, task.shard, config)
            table = _texts(store, task.shard).join(scored, on="example_id", how="left", maintain_order="left")
            table = table.with_columns(
                reason=pl.when(pl.col("dispersion").is_null() & pl.col("reason").is_null())
                .then(pl.lit("answers could not be embedded: a vector is NaN or infinite"))
                .otherwise("reason")
            )
            facts = _facts(table)
            _check(facts, table, config.max_indistinct_share)
            facts = {**facts, **watch.facts()}
            provenance = make_provenance(task.recipe, task.shard, task.inputs, table.height, facts=facts)
            store.write_table(table.drop("differ").to_arrow(), provenance)
            return provenance

        materialize_shards(context, store, plan, compute, lambda stored: report.scores(store, stored))

    return divergence_scores


def _texts(store: Store, shard: str) -> pl.DataFrame:
    """One row per accepted example, with what the filters of the selection need, and why it has no answers if so.

    differ: whether its answers differ in more than case, white space and what nobody sees.
    """
    raw = pl.from_arrow(store.read_table("raw_pool", shard, ["example_id", "content_hash", "source", "output"]))
    columns = ["example_id", "status", "reason", "answers", "output_tokens"]
    generated = pl.from_arrow(store.read_table("generations", shard, columns))
    assert isinstance(raw, pl.DataFrame)
    assert isinstance(generated, pl.DataFrame)
    stripped = pl.col("answers").list.eval(pl.element().str.strip_chars())
    seen = pl.col("answers").list.eval(pl.element().str.to_lowercase().str.replace_all(UNSEEN, ""))
    answers = generated.select(
        "example_id",
        reason=pl.when(pl.col("status") == "ok").then(None).otherwise(pl.coalesce("reason", "status")),
        empty_answers=stripped.list.eval(pl.element() == "").list.sum().cast(pl.Int32),
        distinct_answers=stripped.list.n_unique().cast(pl.Int32),
        differ=seen.list.n_unique() > 1,
        # Null where the engine didn't tell of every answer.
        answer_tokens=pl.when(
            pl.col("output_tokens").list.drop_nulls().list.len() == pl.col("answers").list.len()
        ).then(pl.col("output_tokens").list.mean()),
    )
    return raw.select(
        "example_id", "content_hash", "source", output_chars=pl.col("output").str.len_chars().cast(pl.Int32)
    ).join(answers, on="example_id", how="left", maintain_order="left")


def _scored(store: Store, shard: str, config: ScoreConfig) -> pl.DataFrame:
    parts = []
    for ids, vectors in answer_groups(store, shard):
        result = answer_divergence(vectors, noise_floor=config.noise_floor, mode_distance=config.mode_distance)
        rounded = result.rounded(config.decimals)
        values = {name: getattr(rounded, name) for name in NUMBERS}
        lists = {
            name: pl.Series(getattr(rounded, name).reshape(len(ids), -1)).arr.to_list().cast(pl.List(inner))
            for name, inner in LISTS.items()
        }
        parts.append(pl.DataFrame({"example_id": ids, **values, "modes": result.modes, **lists}))
    schema: dict[str, Any] = {
        "example_id": pl.String,
        **dict.fromkeys(NUMBERS, pl.Float64),
        "modes": pl.Int32,
        **{name: pl.List(inner) for name, inner in LISTS.items()},
    }
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def answer_groups(store: Store, shard: str) -> Iterator[tuple[list[str], np.ndarray]]:
    """A shard's vectors, streamed: (N example ids, (N, K, d) float32) at a time.

    Stored order keeps an example's K rows together unless the shard was rewritten; then the shard is sorted in memory.
    """
    samples = _samples(store, shard)
    if _in_order(store, shard, samples):
        yield from _grouped(store.vectors.read("answer_embeddings", shard), samples)
        return
    ids, indices, vectors = (
        np.concatenate(arrays) for arrays in zip(*store.vectors.read("answer_embeddings", shard), strict=True)
    )
    order = np.lexsort((indices, ids.astype(str)))
    for start in range(0, len(order), 1000 * samples):
        rows = order[start : start + 1000 * samples]
        yield from _grouped(iter([(ids[rows], indices[rows], vectors[rows])]), samples)


def _samples(store: Store, shard: str) -> int:
    provenance = store.required_provenance("answer_embeddings", shard)
    stored, examples = store.vectors.count("answer_embeddings", shard), provenance.facts["examples"]
    if stored != provenance.rows:
        raise StoreError(
            f"lancedb/answer_embeddings holds {stored} vectors of shard {shard}, but {provenance.rows} were written: "
            f"materialise answer_embeddings for {shard} again"
        )
    return stored // examples if examples else 1


def _in_order(store: Store, shard: str, samples: int) -> bool:
    """Whether each example's samples 0 … K - 1 follow each other. Reads no vectors."""
    for ids, indices, _ in _grouped_rows(store.vectors.read("answer_embeddings", shard, vectors=False), samples):
        if (ids != ids[:, :1]).any() or (indices != np.arange(samples)).any():
            return False
    return True


def _grouped(batches: Batches, samples: int) -> Iterator[tuple[list[str], np.ndarray]]:
    for ids, _, vectors in _grouped_rows(batches, samples):
        yield ids[:, 0].tolist(), vectors


def _grouped_rows(batches: Batches, samples: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Cut batches of rows after every `samples` rows: (N, K) ids, (N, K) indices, (N, K, d) vectors.

    Rows are copied only of an example that goes on in the next batch.
    """
    rest: tuple[np.ndarray, ...] | None = None
    for read in batches:
        batch: tuple[np.ndarray, ...] = read
        if rest is not None and len(rest[0]):
            missing = samples - len(rest[0])
            rest = tuple(np.concatenate([part, array[:missing]]) for part, array in zip(rest, batch, strict=True))
            batch = tuple(array[missing:] for array in batch)
            if len(rest[0]) < samples:
                continue
            yield tuple(array[None] for array in rest)
        whole = len(batch[0]) // samples * samples
        rest = tuple(array[whole:] for array in batch)
        if whole:
            yield tuple(array[:whole].reshape(whole // samples, samples, *array.shape[1:]) for array in batch)


def _check(facts: Mapping[str, Any], table: pl.DataFrame, max_indistinct_share: float) -> None:
    """Raise ShardFault where the embedder doesn't tell answers apart that differ: such examples are never selected."""
    if facts["indistinct"] > max_indistinct_share * facts["scored"]:
        first = table.filter(INDISTINCT)["example_id"][0]
        raise ShardFault(
            f"{facts['indistinct']} of {facts['scored']} examples have answers that differ and yet D = 0, more than "
            f"divergence_scores.max_indistinct_share = {max_indistinct_share:g} allows; the first is {first}. The embedder "
            "doesn't tell them apart: choose one of their language (embeddings.model, or embeddings.embedder = "
            "hidden_state), read long texts in windows (embeddings.long_texts), or raise max_indistinct_share; then "
            "`adg run --retry`"
        )


def _facts(table: pl.DataFrame) -> dict[str, object]:
    scored = table.filter(pl.col("dispersion").is_not_null())
    return {
        "scored": scored.height,
        "unscored": table.height - scored.height,
        "zero_dispersion": scored.filter(pl.col("dispersion") == 0).height,
        "indistinct": scored.filter(INDISTINCT).height,
        "mean_dispersion": scored["dispersion"].mean(),
        "mean_anisotropy": scored["anisotropy"].mean(),
        "mean_modes": scored["modes"].mean(),
    }
