"""How stable a subset is: what of it stays when one of the K sampled answers is left out."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from adg_pipeline.algorithms.divergence import gram_divergence
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.algorithms.selectors.base import lists
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 4


def jackknife(
    candidates: Candidates, examples: pl.DataFrame, config: SelectionConfig, places: pl.DataFrame
) -> dict[str, Any]:
    """Overlap (Jaccard) of the subset with those that the same arm selects without answer 1, 2, … K; any overlap between
    settings is to be read against it.

    Only of arms that rank by dispersion and anisotropy. Empty for others, for two answers, and for scores of before the
    cosines were kept.

    Args:
        candidates: what the arm chose from.
        examples: the same rows with the column cosines, (K·K,) per example.
        places: what the arm chose.
    """
    signals = SELECTORS[config.selector].reads(config)
    if "dispersion" not in signals or config.first_answers is not None or "cosines" not in examples.columns:
        return {}
    cosines = lists(examples, "cosines")
    k = round(np.sqrt(cosines.shape[1])) if cosines.size else 0
    if k < 3 or np.isnan(cosines).any():
        return {}
    grams, chosen = cosines.reshape(-1, k, k), places["selected"].to_numpy()
    overlaps = []
    for left_out in range(k):
        rest = [answer for answer in range(k) if answer != left_out]
        without = gram_divergence(grams[:, rest][:, :, rest]).rounded(DECIMALS)
        frame = candidates.frame.with_columns(
            dispersion=pl.Series(without.dispersion), anisotropy=pl.Series(without.anisotropy)
        )
        other = SELECTORS[config.selector].choose(replace(candidates, frame=frame), config)["selected"].to_numpy()
        overlaps.append(round(float((chosen & other).sum() / max(1, (chosen | other).sum())), DECIMALS))
    return {"jackknife_jaccard": overlaps, "mean": round(float(np.mean(overlaps)), DECIMALS)}
