"""Instruction-Following Difficulty, and SuperFiltering: how little the instruction helps to foretell the answer.

IFD (Cherry_LLM, arXiv 2308.12032) is a ratio of mean token losses, given the prompt and after the bare marker that opens
a response; 1 and less can be taken. SuperFiltering (arXiv 2402.00530) is a ratio of perplexities under a small model, without
any template; only less than 1 can. Both take the highest. A model with constant logits gives 1: kept by the one only.
"""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selectors.base import Scores, Selector, by_score, numbers, reason_where
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 6
NO_HELP = "the instruction doesn't help to foretell its answer"


def ifd(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Scores = (numbers(frame, "reference_logprob") / numbers(frame, "bare_logprob")).round(DECIMALS)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def superfiltering(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    ratio: Scores = np.exp(numbers(frame, "plain_bare_logprob") - numbers(frame, "plain_logprob")).round(DECIMALS)
    return ratio


def _over(ratio: Scores, most: float, *, itself: bool) -> pl.Series:
    return reason_where((ratio >= most) if itself else (ratio > most), NO_HELP)


IFD = Selector(
    by_score(ifd, lambda frame, config: _over(ifd(frame, config), 1.0, itself=False)),
    "arXiv 2308.12032",
    ("reference_logprob", "bare_logprob"),
)
SUPERFILTERING = Selector(
    by_score(superfiltering, lambda frame, config: _over(superfiltering(frame, config), 1.0, itself=True)),
    "arXiv 2402.00530",
    ("plain_logprob", "plain_bare_logprob"),
)
