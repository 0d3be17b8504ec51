"""Why an example is in the subset or isn't: everything known of it, gathered from the store."""

from typing import Any

import polars as pl

from adg_pipeline.errors import PipelineError
from adg_pipeline.store import Store

RAW, GENERATED = "raw_pool", "generations"


def explain_example(store: Store, example_id: str, selector: str) -> dict[str, Any]:
    """The example's record, answers, scores, place in its bin and origin. Raises PipelineError for an unknown id."""
    places = _find(store, RAW, example_id)
    if not places:
        raise PipelineError(f"no example {example_id!r} in {store.root / RAW}; ids are listed in `ranking.parquet`")
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
    ranking = store.selection_dir(selector) / "ranking.parquet"
    if ranking.exists():
        found = pl.scan_parquet(ranking, glob=False).filter(pl.col("example_id") == example_id).collect()
        explanation["selection"] = {"selector": selector, **_verdict(found)}
    return explanation


def _verdict(found: pl.DataFrame) -> dict[str, Any]:
    if found.is_empty():
        return {"verdict": "not part of this selection: it came to the pool later"}
    row = found.sort("selected", descending=True).row(0, named=True)
    row["shard"] = str(row["shard"])
    place = f"{row['bin_rank']} of {row['bin_size']} in bin {row['bin']}, whose quota is {row['bin_quota']}"
    if row["selected"]:
        verdict = f"selected, number {row['rank']} of the subset: {place}"
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
