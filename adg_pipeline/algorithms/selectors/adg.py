"""The paper's selection: within semantic bins, by the score of answer divergence."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.divergence import adg_score, gram_divergence
from adg_pipeline.algorithms.selectors.base import Scores, Selector, by_score, lists, numbers
from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 4


def score(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """(1 - λ) D + λ I, of all answers or of the first `first_answers` of them."""
    if config.first_answers is None:
        return adg_score(numbers(frame, "dispersion"), numbers(frame, "anisotropy"), config.weight)
    cosines = lists(frame, "cosines")
    k = round(np.sqrt(cosines.shape[1]))
    if config.first_answers > k:
        raise SettingsError(f"selected_subset.first_answers is {config.first_answers}, and {k} answers were drawn")
    first = config.first_answers
    some = gram_divergence(cosines.reshape(-1, k, k)[:, :first, :first]).rounded(DECIMALS)
    return adg_score(some.dispersion, some.anisotropy, config.weight)


ADG = Selector(by_score(score), "arXiv 2604.10448", ("dispersion", "anisotropy"))
