"""Asset checks: what must hold of stored data, looked at again after it was stored. One step for all of them.

They run with every selection, not with every shard: they read the whole pool, and the cost of a shard must not grow with
the pool. https://docs.dagster.io/guides/test/asset-checks
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from adg_pipeline.formats.shards import list_shards
from adg_pipeline.plan import selection_inputs
from adg_pipeline.resources.store import Store

ACCOUNTED = dg.AssetCheckSpec(
    "every_example_is_accounted_for",
    asset="divergence_scores",
    description="Every accepted example has a score, or a reason for having none.",
)
BOUNDED = dg.AssetCheckSpec(
    "scores_lie_within_bounds",
    asset="divergence_scores",
    description="Dispersion and anisotropy lie between 0 and 1.",
)
BUDGET = dg.AssetCheckSpec(
    "subsets_meet_their_budget",
    asset="selected_subset",
    description="Every subset has as many examples as its budget asks for, none of them twice.",
)


@dg.multi_asset_check(specs=[ACCOUNTED, BOUNDED, BUDGET], name="stored_data_holds")
def stored_data_holds(store: Store) -> Iterator[dg.AssetCheckResult]:
    shards = selection_inputs(store, list(list_shards(store.pool_dir).shards)).shards
    accounts, outside = accounting(store, shards), out_of_bounds(store, shards)
    yield _result(ACCOUNTED, not any(accounts.values()), {"shards": len(shards), **accounts})
    yield _result(BOUNDED, outside == 0, {"shards": len(shards), "examples_outside": outside})
    faults = budget_faults(store)
    yield _result(BUDGET, not faults, {"faults": faults})


def accounting(store: Store, shards: Sequence[str]) -> dict[str, int]:
    """Examples of the pool that have no row of scores, and rows that have neither score nor reason."""
    if not shards:
        return {}
    scored, raw = store.scan("divergence_scores", shards), store.scan("raw_pool", shards)
    missing = raw.join(scored, on=["example_id", "content_hash"], how="anti")
    silent = scored.filter(pl.col("dispersion").is_null() & pl.col("reason").is_null())
    return {"examples_without_row": _height(missing), "examples_without_reason": _height(silent)}


def out_of_bounds(store: Store, shards: Sequence[str]) -> int:
    """Scores below 0 or above 1."""
    if not shards:
        return 0
    inside = pl.col("dispersion").is_between(0, 1) & pl.col("anisotropy").is_between(0, 1)
    return _height(store.scan("divergence_scores", shards).filter(~inside))


def budget_faults(store: Store) -> dict[str, str]:
    """Selectors whose subset is not what its manifest promises, and how."""
    faults: dict[str, str] = {}
    for path in sorted((store.root / "selections").glob("*/manifest.json")):
        selector = path.parent.name
        manifest = store.selection_manifest(selector) or {}
        ids = pl.read_parquet(path.parent / "subset.parquet", columns=["example_id"], glob=False)["example_id"]
        expected = min(manifest["config"]["budget"], manifest["counts"]["eligible"])
        if manifest["config"]["quota"] == "largest_remainder" and len(ids) != expected:
            faults[selector] = f"{len(ids)} examples instead of {expected}"
        elif ids.n_unique() != len(ids):
            faults[selector] = "an example stands in it twice"
    return faults


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def _result(spec: dg.AssetCheckSpec, passed: bool, metadata: Mapping[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=passed, asset_key=spec.asset_key, check_name=spec.name, metadata=metadata)


CHECKS = [stored_data_holds]
