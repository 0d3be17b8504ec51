"""What an arm picks of a pool: the product's arms, and those that only a world of known truth allows."""

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.arms import BUILT_IN, Arm
from adg_pipeline.algorithms.bins import assign, bin_count, fit_centroids
from adg_pipeline.algorithms.draws import uniform_draws
from adg_pipeline.algorithms.filters import filter_reasons
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.algorithms.selectors.base import TEXTS, lists
from adg_pipeline.settings.sections import SelectionConfig
from benchmarks.truth import ideas, records
from benchmarks.truth.signals import DEMO, Signals

ORACLE, RANDOM_CLEAN = "oracle", "random_clean"
_TRUE_KINDS: Mapping[str, Callable[[], pl.Expr]] = {
    ORACLE: lambda: pl.col("source").str.starts_with("barely-known/"),
    RANDOM_CLEAN: lambda: (
        ~pl.col("source").str.contains(f"^({records.RANDOM}|{records.OTHER_SKILL}|{records.OWN_ANSWER})/")
    ),
}
IDEAS: Mapping[str, Arm] = ideas.ARMS
# scar needs a ranker, which nobody has for such a backbone; t_shirt reads every reference sixty times more; given is a list.
LEFT_OUT = ("scar", "t_shirt", "given")
ARMS: tuple[str, ...] = (*(name for name in BUILT_IN if name not in LEFT_OUT), *_TRUE_KINDS)


def select(arm: str, pool: Signals, budget: int, seed: int) -> list[str]:
    """Ids of the subset, best first. seed: of the pool's bins, of whatever the arm draws, of its queries."""
    section = SelectionConfig(budget=budget, seed=seed)
    if arm in _TRUE_KINDS:
        allowed = pool.frame.filter(_TRUE_KINDS[arm]())["example_id"]
        draws = uniform_draws(allowed, seed)
        return allowed[np.argsort(-draws, kind="stable")[:budget]].to_list()
    config = {**BUILT_IN, **IDEAS}[arm].config(section)
    selector = {**SELECTORS, **ideas.SELECTORS}[config.selector]
    centroids, bins = _bins(pool, seed)
    eligible = filter_reasons(pool.frame, config).is_null().to_numpy()
    frame = pool.frame.with_columns(bin=pl.Series(bins), vector=pl.Series(pool.vectors).arr.to_list()).filter(eligible)
    queries = ["\n".join(query[name] for name in TEXTS if query[name]) for query in records.queries(seed)]
    likeness = lists(frame, "likeness").astype(np.float32) if selector.likeness else None
    candidates = Candidates(frame, pool.vectors[eligible], centroids, queries, likeness)
    return selector.choose(candidates, config).filter("selected").sort("position")["example_id"].to_list()


def picked_kinds(pool: Signals, chosen: list[str]) -> dict[str, int]:
    """Examples picked by kind: what stands before the slash of their source."""
    sources = pool.frame.filter(pl.col("example_id").is_in(chosen))["source"].str.split("/").list.first()
    return dict(sorted(sources.value_counts().iter_rows()))


def _bins(pool: Signals, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    settings = DEMO.semantic_bins
    count = bin_count(len(pool.vectors), settings.bins, settings.examples_per_bin)
    ids = pool.frame["example_id"].to_list()
    centroids = fit_centroids(pool.vectors, ids, count, seed=seed, n_init=settings.n_init, max_iter=settings.max_iter)
    return centroids, assign(pool.vectors, centroids)
