"""Relatives of the paper's score that need no further sampling: EigenScore and discrete semantic entropy."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selectors.base import Scores, Selector, by_score, lists
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 4
REGULARISER = 0.001


def eigenscore(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """(1/K) Σ ln(λ_i + 0.001) over the K eigenvalues of the centred Gram matrix (INSIDE, arXiv 2402.03744)."""
    score: Scores = np.log(lists(frame, "eigenvalues") + REGULARISER).mean(axis=1).round(DECIMALS)
    return score


def semantic_entropy(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """-Σ p ln p over the clusters of the answers (Kuhn et al., arXiv 2302.09664), clusters being modes of the vectors."""
    sizes = lists(frame, "mode_sizes")
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = sizes / sizes.sum(axis=1, keepdims=True)
        terms = np.where(sizes == 0, 0.0, shares * np.log(shares))
    score: Scores = -terms.sum(axis=1).round(DECIMALS)
    return score + 0.0


EIGENSCORE = Selector(by_score(eigenscore), "arXiv 2402.03744", ("eigenvalues",))
SEMANTIC_ENTROPY = Selector(by_score(semantic_entropy), "arXiv 2302.09664", ("mode_sizes",))
