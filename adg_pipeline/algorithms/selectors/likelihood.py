"""Scores of how likely the reference is under the backbone."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selectors.base import Scores, Selector, by_score, numbers
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 6


def reference_probability(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """p (1 - p), p the geometric mean of the reference's token probabilities: highest where the backbone half knows it."""
    probability = np.exp(numbers(frame, "reference_logprob"))
    score: Scores = (probability * (1.0 - probability)).round(DECIMALS)
    return score


def sequence_loss(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """Mean token loss of prompt and reference together, as in Ivison et al. (arXiv 2503.01807); rank it `middle`."""
    loss: Scores = -numbers(frame, "sequence_logprob").round(DECIMALS)
    return loss


def confident_surprise(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """Mean over the reference's tokens of σ(loss) · max(0, 1 - entropy / ln V): hard where the model is sure (UPD,
    arXiv 2503.11441), which discounts tokens where anything could follow."""
    return numbers(frame, "confident_surprise").round(DECIMALS)


REFERENCE_PROBABILITY = Selector(by_score(reference_probability), "half-known references", ("reference_logprob",))
PERPLEXITY = Selector(by_score(sequence_loss), "arXiv 2503.01807", ("sequence_logprob",))
UPD = Selector(by_score(confident_surprise), "arXiv 2503.11441", ("confident_surprise",))
