"""A subset that somebody gives: the first examples of a list that the pool holds, in the order of the list."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selectors.base import Candidates, Selector, admit, in_order, placed, reason_where
from adg_pipeline.settings.sections import SelectionConfig

NOT_GIVEN = "the given list doesn't have it"


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    frame, given = candidates.frame, candidates.given
    place = {example: number for number, example in enumerate(given)}
    at = np.array([place.get(example, np.nan) for example in frame["example_id"]], dtype=np.float64)
    # The first of the list has 1, and each one after it less.
    scores = 1 - at / max(len(given), 1)
    allowed, left_out = admit(frame, scores, [reason_where(np.isnan(at), NOT_GIVEN)], config)
    rows = np.flatnonzero(allowed)
    picked = np.argsort(at[rows], kind="stable")[: config.budget]
    return placed(frame, allowed, left_out, in_order(frame.filter(allowed), scores[rows], picked))


GIVEN = Selector(_choose, "whoever made the list", given=True, greedy=True)
