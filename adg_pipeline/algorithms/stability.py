"""How stable a subset is: what of it stays when one of the K sampled answers is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.budgets import Part, choose
from adg_pipeline.algorithms.divergence import gram_divergence
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 4

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Stability:
    """What a jackknife found; empty where there is nothing to leave out.

    summary: jackknife_jaccard (an overlap per answer left out), mean, examples, of. kept: (N,) in how many of the K subsets
    each candidate is; None where not all candidates were looked at.
    """

    summary: dict[str, Any] = field(default_factory=dict)
    kept: Rows | None = None


def jackknife(
    candidates: Candidates,
    config: SelectionConfig,
    places: pl.DataFrame,
    parts: Sequence[Part],
    cosines_of: Callable[[Rows], NDArray[np.float64]],
) -> Stability:
    """Overlap (Jaccard) of the subset with those that the same arm selects without answer 1, 2, … K; any overlap between
    settings is to be read against it.

    Of more than `stability_examples`, so many are taken, evenly by the order of their ids, and the arm selects its share
    of the budget from them. Only of arms that rank by dispersion and anisotropy. Empty for others, for two answers, and for
    scores of before the cosines were kept.

    Args:
        candidates: what the arm chose from.
        places: what the arm chose.
        parts: of the budget.
        cosines_of: gives the (n, K·K) cosines of candidates by their rows; NaN where they aren't kept.
    """
    chooses = SELECTORS[config.selector]
    total, most = candidates.frame.height, config.stability_examples
    if most == 0 or "dispersion" not in chooses.reads(config) or config.first_answers is not None:
        return Stability()
    rows = np.arange(total)
    if total > most:
        rows = np.arange(most) * total // most  # a draw by a hash would take longer than all else at 10 million
        candidates, parts = candidates.take(rows), [part.among(rows, total) for part in parts]
        places = choose(candidates, config, parts)
    cosines = cosines_of(rows)
    k = round(np.sqrt(cosines.shape[1])) if cosines.size else 0
    if k < 3 or np.isnan(cosines).any():
        return Stability()
    grams, chosen = cosines.reshape(-1, k, k), places["selected"].to_numpy()
    overlaps, kept = [], np.zeros(len(rows), dtype=np.int64)
    for left_out in range(k):
        rest = [answer for answer in range(k) if answer != left_out]
        without = gram_divergence(grams[:, rest][:, :, rest]).rounded(DECIMALS)
        frame = candidates.frame.with_columns(
            dispersion=pl.Series(without.dispersion), anisotropy=pl.Series(without.anisotropy)
        )
        other = choose(replace(candidates, frame=frame), config, parts)["selected"].to_numpy()
        kept += other
        overlaps.append(round(float((chosen & other).sum() / max(1, (chosen | other).sum())), DECIMALS))
    summary = {
        "jackknife_jaccard": overlaps,
        "mean": round(float(np.mean(overlaps)), DECIMALS),
        "examples": len(rows),
        "of": total,
    }
    return Stability(summary, kept if len(rows) == total else None)
