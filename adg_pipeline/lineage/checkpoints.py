"""From a checkpoint back to what it learnt from: each example with its file and record, wherever the folder was moved to."""

from pathlib import Path
from typing import Any

import polars as pl

from adg_pipeline.errors import PipelineError
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import MANIFEST, read_training_manifest
from adg_pipeline.store.history import subset_learnt
from adg_pipeline.store.selections import content_id


def is_checkpoint(folder: Path) -> bool:
    """Whether this pipeline trained it: its record stands with it."""
    return (folder / MANIFEST).is_file()


def explain_checkpoint(store: Store, folder: Path) -> dict[str, Any]:
    """What the checkpoint was made from.

    arm, seed, backbone, subset (its id), selected_at, answers (how they were sampled), training (steps, tokens, seconds, on),
    left_out (ids that the training left out, by reason), files (file → its SHA-256 and examples learnt), sampled_anew (shards
    whose answers are others by now), and examples: rank, example_id, file, record (its number in the file, from 1: in JSON
    lines its line), shard, score, bin.

    Raises PipelineError where the record is damaged or the subset is no longer stored.
    """
    try:
        trained = read_training_manifest(folder) or {}
        job = trained["job"]
        selection = job["provenance"]["selection"]
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{folder / MANIFEST}: damaged, or of a training on no subset of this pipeline") from error
    arm, seed, shards = selection["arm"], trained["seed"], selection["shards"]
    left_out = {reason: list(ids) for reason, ids in trained.get("left_out", {}).items() if ids}
    unlearnt = {example for ids in left_out.values() for example in ids}
    subset = _subset(store, arm, seed, selection).filter(~pl.col("example_id").is_in(list(unlearnt)))
    examples = [
        {
            "rank": row["rank"],
            "example_id": row["example_id"],
            "file": shards[row["shard"]]["file"],
            "record": row["row"],
            "shard": row["shard"],
            "score": None if row["score"] is None else round(row["score"], 4),
            "bin": row["bin"],
        }
        for row in subset.with_columns(pl.col("shard").cast(pl.String)).iter_rows(named=True)
    ]
    learnt: dict[str, int] = {}
    for example in examples:
        learnt[example["file"]] = learnt.get(example["file"], 0) + 1
    return {
        "checkpoint": str(folder),
        "arm": arm,
        "seed": seed,
        "backbone": job["base_fingerprint"]["id"],
        "subset": content_id(selection),
        "selected_at": selection.get("made_at"),
        "answers": dict(selection["recipes"]["generations"]),
        "training": {
            "steps": trained["steps"],
            "tokens": trained["tokens"],
            "seconds": trained["seconds"],
            "on": trained.get("hardware") or None,
        },
        "left_out": left_out,
        "files": {
            of["file"]: {"sha256": of.get("sha256"), "examples": learnt[of["file"]]}
            for of in shards.values()
            if of["file"] in learnt
        },
        "sampled_anew": [
            shard
            for shard, of in shards.items()
            if (now := store.provenance("generations", shard)) is not None and now.content != of["generations"]
        ],
        "examples": examples,
    }


def _subset(store: Store, arm: str, seed: int, selection: dict[str, Any]) -> pl.DataFrame:
    name = content_id(selection)
    stored = subset_learnt(store.subset_history(arm), store.drawn_dir(arm, seed), name)
    if stored is None:
        files = ", ".join(sorted(of["file"] for of in selection["shards"].values()))
        raise PipelineError(
            f"the subset {name} of {arm}, which it learnt from, is no longer in {store.root} (`adg subset list` names those "
            f"that are); it was selected from {files}"
        )
    return stored.rows()
