"""Why an example is in the subset or isn't: everything known of it, gathered from the store."""

from pathlib import Path
from typing import Any

import polars as pl

from adg_pipeline.errors import PipelineError
from adg_pipeline.lineage.certainty import certainty, learnt_by
from adg_pipeline.store import Store

RAW, GENERATED = "raw_pool", "generations"


def explain_example(store: Store, example_id: str, arm: str) -> dict[str, Any]:
    """The example's record, answers, scores, place in its bin and origin. Raises PipelineError for an unknown id."""
    places = _find(store, RAW, example_id)
    ranking = store.selection_dir(arm) / "ranking.parquet"
    ranked = (
        pl.scan_parquet(ranking, glob=False).filter(pl.col("example_id") == example_id).collect()
        if ranking.exists()
        else pl.DataFrame()
    )
    verdict = {"arm": arm, **_verdict(ranked)} if ranking.exists() else None
    if not places:
        if ranked.is_empty():
            raise _unknown(store, example_id, ranking)
        shard = str(ranked["shard"][0])
        gone = "its record is gone: the file of the shard left the pool or holds it no more. The next selection is without it"
        return {"example_id": example_id, "origin": {"shard": shard, "removed": gone}, "selection": verdict}
    shard, record = places[0]
    provenance = store.required_provenance(RAW, shard)
    explanation: dict[str, Any] = {
        "example_id": example_id,
        "record": {key: value for key, value in record.items() if key != "example_id"},
        "origin": {
            "shard": shard,
            "file": provenance.facts["file"],
            "record": record["row"],
            "also_in": [other for other, _ in places[1:]],
        },
    }
    answers = _row(store, GENERATED, shard, example_id)
    if answers is not None:
        explanation["generation"] = answers
        explanation["generated_with"] = dict(store.required_provenance(GENERATED, shard).recipe.config)
    explanation["scores"] = _row(store, "divergence_scores", shard, example_id)
    losses = _row(store, "reference_losses", shard, example_id)
    if losses is not None:
        reference, own = losses["reference_logprob"], losses["answer_logprob"]
        gap = None if reference is None or own is None else round(reference - own, 4)
        # What `selected_subset.reach` is compared with.
        explanation["references"] = {**losses, "reference_less_answers": gap}
    if verdict is not None:
        explanation["selection"] = verdict
    if not ranked.is_empty():
        explanation["how_sure"] = certainty(store, arm, ranked.sort("selected", descending=True).row(0, named=True))
    learnt = learnt_by(store, example_id)
    if learnt:
        explanation["learnt_by"] = learnt
    return explanation


def _unknown(store: Store, example_id: str, ranking: Path) -> PipelineError:
    """Says where ids are to be found, and what was looked through."""
    store.require_pool()
    shards = store.shards(RAW)
    if not shards:
        return PipelineError(
            f"no example {example_id!r}: no shard of {store.pool_dir} has been read yet; `adg run` reads them"
        )
    ids = f"; ids stand in the column example_id of {ranking}" if ranking.exists() else ""
    return PipelineError(f"no example {example_id!r} in the {len(shards)} shards read so far ({store.root / RAW}){ids}")


def _verdict(found: pl.DataFrame) -> dict[str, Any]:
    if found.is_empty():
        return {"verdict": "not part of this selection: it came to the pool later"}
    row = found.sort("selected", descending=True).row(0, named=True)
    row["shard"] = str(row["shard"])
    place = f"{row['bin_rank']} of {row['bin_size']} in bin {row['bin']}, whose quota is {row['bin_quota']}"
    if row["bin_rank"] is None:
        place = "one ranking of the whole pool" if row["selected"] else "others were preferred, in the whole pool"
    if row["selected"]:
        why = "it must be kept" if row.get("must_keep") else place
        verdict = f"selected, number {row['rank']} of the subset: {why}"
    elif row["left_out"]:
        verdict = f"not selected: {row['left_out']}"
    else:
        verdict = f"not selected: {place}"
    return {"verdict": verdict, **{key: value for key, value in row.items() if key != "example_id"}}


def _find(store: Store, asset: str, example_id: str) -> list[tuple[str, dict[str, Any]]]:
    rows = ((shard, _row(store, asset, shard, example_id)) for shard in store.shards(asset))
    return [(shard, row) for shard, row in rows if row is not None]


def _row(store: Store, asset: str, shard: str, example_id: str) -> dict[str, Any] | None:
    if shard not in store.shards(asset):
        return None
    found = store.scan(asset, [shard]).filter(pl.col("example_id") == example_id).collect()
    return found.row(0, named=True) if found.height else None
