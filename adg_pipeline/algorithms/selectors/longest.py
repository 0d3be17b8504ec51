"""The longest references, in tokens of the backbone: the baseline of "Long Is More for Alignment" (arXiv 2402.04833)."""

import polars as pl

from adg_pipeline.algorithms.selectors.base import Scores, Selector, by_score, numbers
from adg_pipeline.settings.sections import SelectionConfig


def _score(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    return numbers(frame, "reference_tokens")


LONGEST = Selector(by_score(_score), "arXiv 2402.04833", ("reference_tokens",))
