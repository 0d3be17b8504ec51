"""DEITA's repetition-aware filter (arXiv 2312.15685) over the paper's score: the best first, unless too like one taken.

The released code comes up short where too few differ; here the best of those passed over fill the budget. Vectors are those
of the instructions.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.selectors import adg
from adg_pipeline.algorithms.selectors.base import Candidates, Scores, Selector, admit, in_order, placed
from adg_pipeline.settings.sections import SelectionConfig

LIKE = 0.9  # largest cosine to anything taken
COSINE_DECIMALS = 5  # float32 products differ in the sixth with the shape of a block
BLOCK = 1024


def filter_repetitions(vectors: NDArray[np.float32], order: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Rows taken of those in `order`, (N, d) vectors at unit length: `min(budget, N)` of them, as explained above."""
    taken: list[int] = []
    passed: list[int] = []
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        inside = (vectors[block] @ vectors[block].T).round(COSINE_DECIMALS)
        nearest = (
            (vectors[block] @ vectors[taken].T).round(COSINE_DECIMALS).max(axis=1) if taken else np.zeros(len(block))
        )
        for place, row in enumerate(block):
            if len(taken) == budget:
                return np.array(taken, dtype=np.int64)
            if nearest[place] > LIKE:
                passed.append(int(row))
                continue
            taken.append(int(row))
            nearest = np.maximum(nearest, inside[place])
    return np.array([*taken, *passed][:budget], dtype=np.int64)


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    assert candidates.vectors is not None
    frame = candidates.frame
    scores: Scores = adg.score(frame, config)
    allowed, left_out = admit(frame, scores, [], config)
    order = np.argsort(-scores[allowed], kind="stable")
    picked = filter_repetitions(candidates.vectors[allowed], order, config.budget)
    return placed(frame, allowed, left_out, in_order(frame.filter(allowed), scores[allowed], picked))


DEITA_FILTER = Selector(_choose, "arXiv 2312.15685", ("dispersion", "anisotropy"), vectors=True, greedy=True)
