"""SCAR: the answers that a ranker finds the most consistent in style (arXiv 2406.10882); it is the user's own."""

import polars as pl

from adg_pipeline.algorithms.selectors.base import Scores, Selector, by_score, numbers
from adg_pipeline.settings.sections import SelectionConfig


def _score(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    return numbers(frame, "ranker_score")


SCAR = Selector(by_score(_score), "arXiv 2406.10882", ("ranker_score",))
