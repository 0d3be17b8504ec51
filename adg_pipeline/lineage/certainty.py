"""How sure one choice is: what the example was ranked by and among, what would have changed it, and what learnt from it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from adg_pipeline.algorithms.divergence import adg_score
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest

TYPICAL = 3
VECTORS = "instruction_embeddings"


def certainty(store: Store, arm: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Of an example that takes part in the arm's subset at hand. row: its row of ``ranking.parquet``.

    score_without_length_control, mean_answer_tokens: where the arm controls for length. reach: the gap that the arm asks for
    at least. score_needed: the lowest score that was taken of its bin, or of the pool by an arm without bins; None where an
    arm doesn't take the best ones. jackknife: in how many of the subsets that leave out one of the K answers it is.
    typical_of_bin: instructions nearest to the bin's centre.
    """
    manifest = store.selection_manifest(arm) or {}
    known = SelectionConfig.model_fields
    config = SelectionConfig.model_validate({key: value for key, value in manifest["config"].items() if key in known})
    found: dict[str, Any] = {"reach": config.reach}
    if config.length_control and row["dispersion"] is not None:
        paper = adg_score(np.array([row["dispersion"]]), np.array([row["anisotropy"]]), config.weight)
        found |= {
            "score_without_length_control": round(float(paper[0]), 4),
            "mean_answer_tokens": _answer_tokens(store, row),
        }
    if row["left_out"] is None:
        found["score_needed"] = _score_needed(store, arm, row)
    answers = len(manifest.get("stability", {}).get("jackknife_jaccard", []))
    if answers and row.get("jackknife") is not None:
        found["jackknife"] = f"in {row['jackknife']} of the {answers} subsets that leave one answer out"
    if row["bin"] is not None:
        found["typical_of_bin"] = _typical(store, row["bin"])
    return found


def _score_needed(store: Store, arm: str, row: Mapping[str, Any]) -> float | None:
    ranking = pl.scan_parquet(store.selection_dir(arm) / "ranking.parquet", glob=False)
    rivals = ranking.filter(pl.col("left_out").is_null(), pl.col("score").is_not_null())
    if row["bin_rank"] is not None:
        rivals = rivals.filter(pl.col("bin") == row["bin"])
    ends = rivals.select(
        pl.col("score").filter("selected").min().alias("taken"),
        pl.col("score").filter(~pl.col("selected")).max().alias("left"),
    ).collect()
    taken, left = ends.row(0)
    return round(taken, 4) if taken is not None and (left is None or left <= taken) else None


def _answer_tokens(store: Store, row: Mapping[str, Any]) -> float | None:
    scores = store.scan("divergence_scores", [str(row["shard"])])
    found = scores.filter(pl.col("example_id") == row["example_id"]).select("answer_tokens").collect()
    return found.item() if found.height == 1 else None


def _typical(store: Store, number: int) -> list[str]:
    """Instructions nearest to the centre of a bin."""
    members = store.bins.assignments().filter(pl.col("bin") == number)
    centre = store.bins.centroids()[number]
    nearest: list[tuple[float, str, str]] = []
    for keys, vectors in store.vectors.read_all(VECTORS):
        of_bin = keys.with_row_index("row").join(members, on=["shard", "example_id"], how="semi")
        distances = ((vectors[of_bin["row"].to_numpy()] - centre) ** 2).sum(axis=1)
        found = zip(distances.tolist(), of_bin["example_id"], of_bin["shard"], strict=True)
        nearest = sorted([*nearest, *found])[:TYPICAL]
    typical: list[str] = []
    for _, example, shard in nearest:
        raw = store.scan("raw_pool", [shard]).filter(pl.col("example_id") == example).select("instruction").collect()
        typical += raw["instruction"].to_list()[:1]
    return typical


def learnt_by(store: Store, example_id: str) -> list[dict[str, Any]]:
    """Checkpoints that learnt from the example: arm, seed, subset, checkpoint. Of those whose subset is still stored."""
    found = []
    for arm in sorted(store.arms()):
        subsets = {one.id: one.directory for one in store.subset_history(arm).all()}
        for seed in store.trained_seeds(arm):
            trained = read_training_manifest(store.checkpoint_dir(arm, seed)) or {}
            job = trained.get("job", {})
            subset = job.get("provenance", {}).get("subset")
            folder = subsets.get(subset) or store.drawn_dir(arm, seed)
            left_out = {one for ids in trained.get("left_out", {}).values() for one in ids}
            if not (folder / "subset.parquet").exists() or example_id in left_out:
                continue
            rows = (
                pl.scan_parquet(folder / "subset.parquet", glob=False)
                .filter(pl.col("example_id") == example_id)
                .select(pl.len())
                .collect()
            )
            if rows.item():
                path = str(store.checkpoint_dir(arm, seed))
                found.append({"arm": arm, "seed": seed, "subset": subset, "checkpoint": path})
    return found
