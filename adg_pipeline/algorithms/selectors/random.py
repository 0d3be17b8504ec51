"""Examples at random: what any selection has to beat; and at random among examples as long as the paper's pick."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.draws import uniform_draws
from adg_pipeline.algorithms.selectors import adg
from adg_pipeline.algorithms.selectors.base import (
    Candidates,
    Scores,
    Selector,
    admit,
    by_score,
    controlled,
    in_order,
    numbers,
    pick,
    placed,
)  # fmt: skip
from adg_pipeline.settings.sections import SelectionConfig

STRATA = 20


def _draws(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """An example's draw is its own, so a growing pool replaces few of them."""
    return uniform_draws(frame["example_id"], config.seed)


def _length_matched(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    """As many examples of each stratum of reference length as the paper's score would take there, but at random. Settings of
    the paper's pick (its bins, its length control) are those of what it is matched to.

    It tells whether a selection is more than a preference for length. Strata are twentieths of the pool by length.
    """
    frame, draws = candidates.frame, _draws(candidates.frame, config)
    lengths = numbers(frame, "reference_tokens")
    allowed, left_out = admit(frame, lengths + adg.score(frame, config), [], config)
    rows = np.flatnonzero(allowed)
    kept = frame.filter(allowed)
    taken = pick(kept, controlled(kept, adg.score(kept, config), config), config)["selected"].to_numpy()
    edges = np.quantile(lengths[rows], np.linspace(0, 1, STRATA + 1)[1:-1]) if len(rows) else np.zeros(0)
    stratum = np.searchsorted(edges, lengths[rows], side="right")
    quotas = np.bincount(stratum[taken], minlength=STRATA)
    by_draw = np.argsort(-draws[rows], kind="stable")
    before = np.empty(len(rows), dtype=np.int64)  # how many of its stratum were drawn before it
    for number in range(STRATA):
        members = by_draw[stratum[by_draw] == number]
        before[members] = np.arange(len(members))
    picked = by_draw[before[by_draw] < quotas[stratum[by_draw]]]
    return placed(frame, allowed, left_out, in_order(kept, draws[rows], picked))


RANDOM = Selector(by_score(_draws), "uniform without replacement", draws=True)
RANDOM_LENGTH_MATCHED = Selector(
    _length_matched, "control for length", ("dispersion", "anisotropy", "reference_tokens"), draws=True
)
