"""Asset checks: what must hold of stored data, checked again after it was stored.

https://docs.dagster.io/guides/test/asset-checks
"""

import dagster as dg
import polars as pl

from adg_pipeline.formats.shards import list_shards
from adg_pipeline.plan import selection_inputs
from adg_pipeline.resources.store import Store


@dg.asset_check(
    asset="divergence_scores", description="Every accepted example has a score, or a reason for having none."
)
def every_example_is_accounted_for(store: Store) -> dg.AssetCheckResult:
    shards = selection_inputs(store, list(list_shards(store.pool_dir).shards)).shards
    if not shards:
        return dg.AssetCheckResult(passed=True, metadata={"shards": 0})
    scored = store.scan("divergence_scores", shards)
    raw = store.scan("raw_pool", shards)
    missing = raw.join(scored, on=["example_id", "content_hash"], how="anti").select(pl.len()).collect().item()
    unexplained = scored.filter(pl.col("dispersion").is_null() & pl.col("reason").is_null()).select(pl.len())
    silent = unexplained.collect().item()
    return dg.AssetCheckResult(
        passed=missing == 0 and silent == 0,
        metadata={"shards": len(shards), "examples_without_row": missing, "examples_without_reason": silent},
    )


@dg.asset_check(asset="divergence_scores", description="Dispersion lies in 0 … 1 and anisotropy in 0 … 1 - 1/(K - 1).")
def scores_lie_within_bounds(store: Store) -> dg.AssetCheckResult:
    shards = selection_inputs(store, list(list_shards(store.pool_dir).shards)).shards
    if not shards:
        return dg.AssetCheckResult(passed=True, metadata={"shards": 0})
    outside = store.scan("divergence_scores", shards).filter(
        ~pl.col("dispersion").is_between(0, 1) | ~pl.col("anisotropy").is_between(0, 1)
    )
    count = outside.select(pl.len()).collect().item()
    return dg.AssetCheckResult(passed=count == 0, metadata={"examples_outside": count})


@dg.asset_check(asset="selected_subset", description="Every subset meets its budget, without repeats, best first.")
def subsets_meet_their_budget(store: Store) -> dg.AssetCheckResult:
    faults: dict[str, str] = {}
    found = sorted(path.parent.name for path in (store.root / "selections").glob("*/manifest.json"))
    for selector in found:
        manifest = store.selection_manifest(selector) or {}
        subset = pl.read_parquet(store.selection_dir(selector) / "subset.parquet", glob=False)
        config, eligible = manifest["config"], manifest["counts"]["eligible"]
        expected = min(config["budget"], eligible)
        if config["quota"] == "largest_remainder" and subset.height != expected:
            faults[selector] = f"{subset.height} examples instead of {expected}"
        elif subset["example_id"].n_unique() != subset.height:
            faults[selector] = "an example stands in it twice"
    return dg.AssetCheckResult(passed=not faults, metadata={"selectors": found, "faults": faults})


CHECKS = [every_example_is_accounted_for, scores_lie_within_bounds, subsets_meet_their_budget]
