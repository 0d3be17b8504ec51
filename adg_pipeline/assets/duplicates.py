"""Which of the eligible examples stands for which: exact duplicates always, near ones where the settings ask for it."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.algorithms.survivors import Rows, clusters, semantic_clusters, survivors
from adg_pipeline.assets.candidates import instruction_vectors
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store

EXACT = "the same content stands under another id"
NEAR = "nearly the same as another example"


def stands_for(
    store: Store,
    shards: Sequence[str],
    eligible: pl.DataFrame,
    chosen_from: Candidates,
    config: SelectionConfig,
    must_keep: Sequence[str] = (),
) -> Rows:
    """(N,) the row that stands for each eligible one: mostly itself.

    Of a cluster the one stays that must be kept, else the one that the arm scores best (an arm that takes the worst:
    worst), of equals the first id.

    shards: all that the selection is over, whether any of their examples is eligible or not.
    """
    likened = config.near_duplicates is not None or config.semantic_duplicates is not None
    if not likened and eligible["content_hash"].n_unique() == eligible.height:
        return np.arange(eligible.height)  # as most pools are
    labelings = [eligible["content_hash"].rank("dense").cast(pl.Int64).to_numpy()]
    if config.near_duplicates is not None:
        labelings.append(_near(store, shards, eligible, config.near_duplicates))
    if config.semantic_duplicates is not None:
        vectors = chosen_from.vectors if chosen_from.vectors is not None else instruction_vectors(store, eligible)
        labelings.append(semantic_clusters(vectors, eligible["bin"].to_numpy(), config.semantic_duplicates))
    cluster = clusters(labelings)
    if len(np.unique(cluster)) == len(cluster):
        return np.arange(len(cluster))
    chooses = SELECTORS[config.selector]
    # Every selector tells the score of each; what it would take is of no interest yet.
    table = chooses.choose(chosen_from, config.model_copy(update={"budget": 1}))
    scores: NDArray[np.float64] = table["score"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    if config.rank == "bottom" and not chooses.greedy:
        scores = -scores
    kept = eligible["example_id"].is_in(list(must_keep)).to_numpy()
    may = table["left_out"].is_null().to_numpy() | kept
    return survivors(cluster, np.where(kept, np.inf, scores), may)


def reasons(eligible: pl.DataFrame, stands: Rows) -> pl.DataFrame:
    """left_out and duplicate_of (the id of who stands for it) of each eligible example; null where it stands for itself."""
    mine, its = eligible, eligible[stands]
    replaced = pl.Series(stands != np.arange(len(stands)))
    same = mine["content_hash"] == its["content_hash"]
    return pl.select(
        left_out=pl.when(replaced & same).then(pl.lit(EXACT)).when(replaced).then(pl.lit(NEAR)),
        duplicate_of=pl.when(replaced).then(its["example_id"]),
    )


def _near(store: Store, shards: Sequence[str], eligible: pl.DataFrame, likeness: float) -> Rows:
    look = store.look(keep=True)
    stored = {shard: look.required("fingerprints", shard) for shard in shards}
    if eligible.is_empty():
        return np.zeros(0, dtype=np.int64)
    index = store.duplicate_index(stored[shards[0]].recipe.id, likeness)
    found = index.components(
        {shard: provenance.content for shard, provenance in stored.items()},
        lambda shard: store.read_table("fingerprints", shard, ["signature", "bands"]),
    )
    parts = [
        pl.DataFrame(
            {
                "shard": pl.repeat(shard, len(component), dtype=pl.String, eager=True),
                "example_id": pl.from_arrow(store.read_table("fingerprints", shard, ["example_id"])["example_id"]),
                "component": component,
            }
        ).unique(["shard", "example_id"], keep="first", maintain_order=True)
        for shard, component in found.items()
    ]
    joined = eligible.select("shard", "example_id").join(
        pl.concat(parts), on=["shard", "example_id"], how="left", maintain_order="left"
    )
    labels: Rows = joined["component"].to_numpy()
    return labels
