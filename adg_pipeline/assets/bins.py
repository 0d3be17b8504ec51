"""semantic_bins: k-means over the instruction embeddings, so that a subset keeps the pool's spread of topics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline import report
from adg_pipeline.algorithms.bins import (
    FitSample,
    assign,
    bin_count,
    fit_centroids,
    mean_squared_distance,
    refit_reason,
)
from adg_pipeline.assets.asked import asked
from adg_pipeline.errors import StaleInputError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.recipes import CODE_VERSIONS
from adg_pipeline.lineage.states import SelectionInputs, selection_inputs
from adg_pipeline.orchestration.compute import SELECTION_POOL
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import BinConfig
from adg_pipeline.store import Store
from adg_pipeline.store.kept import SHARED
from adg_pipeline.store.provenance import digest

DESCRIPTION = """Bins of alike instructions: k-means over their embeddings.

A small pool gets fewer bins. Centroids stay while the pool grows, so that a subset changes no more than it has to; they
are fitted anew when asked for (`refit`), when the pool has grown by `refit_growth`, or when examples have drifted away
from them by `refit_drift`.
"""
TABLE = "instruction_embeddings"


def build(defaults: BinConfig) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        deps=[dg.AssetDep(TABLE, partition_mapping=dg.AllPartitionMapping())],
        config_schema=launchpad_schema(defaults),
        pool=SELECTION_POOL,
        code_version=CODE_VERSIONS["semantic_bins"],
        group_name="selection",
        kinds={"scikitlearn", "parquet"},
        owners=["team:ml"],
    )
    def semantic_bins(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        config, kept = asked(context, store, BinConfig)
        inputs = selection_inputs(store, list(list_shards(store.pool_dir).shards), store.look(keep=True))
        if not inputs.scores:
            raise dg.Failure("no shard is scored yet: materialise the shard assets first", allow_retries=False)
        before = store.bins.manifest()
        made_from = digest([config.recipe(), dict(inputs.instructions)])
        if before is not None and before["made_from"] == made_from and not config.refit:
            context.log.info("semantic_bins: up to date, nothing computed")
            store.kept.keep(SHARED, ["semantic_bins"], kept)
            sizes = store.bins.assignments().group_by("bin").len()["len"].to_numpy()
            return dg.MaterializeResult(metadata=report.bins(before["fit"], sizes))
        binned = _bin(context, store, config, inputs, before)
        manifest = {"made_from": made_from, "recipe": config.recipe(), "fit": binned.fit}
        store.bins.publish(binned.centroids, binned.assignments, manifest)
        store.kept.keep(SHARED, ["semantic_bins"], kept)
        sizes = np.bincount(binned.assignments["bin"].to_numpy(), minlength=len(binned.centroids))
        return dg.MaterializeResult(metadata=report.bins(binned.fit, sizes))

    return semantic_bins


@dataclass(frozen=True)
class _Binned:
    """Centroids (C, d), the bin of every example, and the record of the fit."""

    centroids: np.ndarray
    assignments: pl.DataFrame
    fit: Mapping[str, Any]


def _bin(
    context: dg.AssetExecutionContext,
    store: Store,
    config: BinConfig,
    inputs: SelectionInputs,
    before: Mapping[str, Any] | None,
) -> _Binned:
    """Keep the centroids at hand unless there is a reason to fit new ones."""
    space = store.required_provenance(TABLE, inputs.shards[0]).recipe.id
    old = before["fit"] if before is not None else None
    if before is None or old is None:
        why = "first fit"
    elif before["recipe"] != config.recipe() or old["space"] != space:
        why = "the configuration or the embedder changed"
    else:
        centroids = store.bins.centroids()
        assignments, spread = _assign(store, inputs, centroids)
        reason = refit_reason(
            fitted_examples=old["examples"],
            fitted_distance=old["mean_squared_distance"],
            examples=assignments.height,
            distance=spread,
            refit=config.refit,
            refit_drift=config.refit_drift,
            refit_growth=config.refit_growth,
        )
        if reason is None:
            context.log.info(
                f"semantic_bins: {len(centroids)} centroids kept, {assignments.height:,} examples assigned"
            )
            return _Binned(centroids, assignments, old)
        why = reason
    context.log.info(f"semantic_bins: fitting centroids ({why})")
    centroids = _fit(store, config, inputs)
    assignments, spread = _assign(store, inputs, centroids)
    fit = {
        "fit_id": digest([space, config.recipe(), dict(inputs.instructions)]),
        "why": why,
        "space": space,
        "bins": len(centroids),
        "examples": assignments.height,
        "mean_squared_distance": spread,
    }
    return _Binned(centroids, assignments, fit)


def _fit(store: Store, config: BinConfig, inputs: SelectionInputs) -> np.ndarray:
    """Centroids over a sample of examples chosen by id, so that neither order nor sharding matters."""
    sample = FitSample(config.fit_sample, config.seed)
    for keys, _ in _rows(store, inputs, vectors=False):
        sample.add(keys["example_id"])
    chosen: dict[str, np.ndarray] = {}
    for keys, batch in _rows(store, inputs):
        rows = keys.with_row_index("row").join(sample.ids.to_frame(), on="example_id", how="semi")
        for row, example in rows.select("row", "example_id").iter_rows():
            chosen.setdefault(example, batch[row])
    count = bin_count(sample.examples, config.bins, config.examples_per_bin)
    vectors = np.stack(list(chosen.values()))
    return fit_centroids(vectors, list(chosen), count, seed=config.seed, n_init=config.n_init, max_iter=config.max_iter)


def _assign(store: Store, inputs: SelectionInputs, centroids: np.ndarray) -> tuple[pl.DataFrame, float]:
    """The bin of every example, streamed, and the mean squared distance to the centroids."""
    parts, total, rows = [], 0.0, 0
    for keys, batch in _rows(store, inputs):
        bins = assign(batch, centroids)
        total += mean_squared_distance(batch, centroids, bins) * len(batch)
        rows += len(batch)
        parts.append(keys.with_columns(bin=bins))
    return pl.concat(parts), total / rows


def _rows(store: Store, inputs: SelectionInputs, *, vectors: bool = True) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
    """Batches of (shard and example_id, vectors) of the shards that take part."""
    wanted = pl.Series(inputs.shards)
    found = False
    for keys, batch in store.vectors.read_all(TABLE, vectors=vectors):
        chosen = keys["shard"].is_in(wanted.implode())
        if chosen.any():
            found = True
            yield keys.filter(chosen), batch if chosen.all() else batch[chosen.to_numpy()]
    if not found:
        raise StaleInputError(
            "lancedb/instruction_embeddings holds no vectors: materialise instruction_embeddings again"
        )
