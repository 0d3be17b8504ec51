"""Asset checks: what must hold of stored data, looked at again after it was stored. One step for all of them.

They belong to the subset, not to the shards: they read the whole pool, and the cost of a shard must not grow with the
pool. https://docs.dagster.io/guides/test/asset-checks
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.states import selection_inputs
from adg_pipeline.store import Store

ASSET = "selected_subset"
ACCOUNTED, BOUNDED, BUDGET = (
    "every_example_is_accounted_for",
    "scores_lie_within_bounds",
    "subsets_meet_their_budget",
)
DESCRIPTIONS = {
    ACCOUNTED: "Every accepted example of the pool has scores, or a reason for having none.",
    BOUNDED: "Dispersion and anisotropy of every example lie between 0 and 1.",
    BUDGET: "Every subset has as many examples as its budget asks for, none of them twice.",
}


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec(name, asset=ASSET, description=text) for name, text in DESCRIPTIONS.items()],
    name="stored_data_holds",
    can_subset=True,
)
def stored_data_holds(context: dg.AssetCheckExecutionContext, store: Store) -> Iterator[dg.AssetCheckResult]:
    asked = {key.name for key in context.selected_asset_check_keys}
    shards = selection_inputs(store, list(list_shards(store.pool_dir).shards)).shards
    if ACCOUNTED in asked:
        faults = accounting(store, shards)
        yield dg.AssetCheckResult(
            check_name=ACCOUNTED, asset_key=ASSET, passed=not any(faults.values()), metadata=faults
        )
    if BOUNDED in asked:
        outside = out_of_bounds(store, shards)
        metadata = {"examples_outside": outside}
        yield dg.AssetCheckResult(check_name=BOUNDED, asset_key=ASSET, passed=outside == 0, metadata=metadata)
    if BUDGET in asked:
        wrong = budget_faults(store)
        yield dg.AssetCheckResult(check_name=BUDGET, asset_key=ASSET, passed=not wrong, metadata={"faults": wrong})


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
    """Arms whose subset is not what its manifest promises, and how."""
    faults: dict[str, str] = {}
    for arm in store.selected_arms():
        if (manifest := store.selection_manifest(arm)) is None:
            continue
        subset = pl.read_parquet(
            store.selection_dir(arm) / "subset.parquet", columns=["example_id", "source"], glob=False
        )
        ids, by_source = subset["example_id"], dict(subset["source"].value_counts().iter_rows())
        expected = min(manifest["config"]["budget"], manifest["counts"]["eligible"])
        config = manifest["config"]
        if config.get("budget_tokens") is not None:
            if manifest["counts"]["tokens"] > config["budget_tokens"]:
                faults[arm] = f"{manifest['counts']['tokens']} tokens, over the budget of {config['budget_tokens']}"
        elif config.get("source_quotas") or config.get("source_weights"):
            wrong = {
                name: by_source.get(name, 0)
                for name, quota in config["source_quotas"].items()
                if by_source.get(name, 0) != quota
            }
            if wrong or len(ids) > config["budget"]:
                faults[arm] = f"{len(ids)} examples, of sources with a quota {wrong}"
        elif config["quota"] == "largest_remainder" and len(ids) != expected:
            faults[arm] = f"{len(ids)} examples instead of {expected}"
        elif ids.n_unique() != len(ids):
            faults[arm] = "an example stands in it twice"
    return faults


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


CHECKS = [stored_data_holds]
