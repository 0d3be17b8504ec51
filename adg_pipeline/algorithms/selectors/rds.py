"""RDS+: round robin over queries by representation similarity (arXiv 2503.01807).

Each query in turn takes its nearest example that isn't taken yet. The authors pool a decoder's last layer by position; here
the vectors are those of the semantic bins, of instructions, whatever embedder made them.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.selectors.base import Candidates, Selector, admit, in_order, placed
from adg_pipeline.settings.sections import SelectionConfig

COSINE_DECIMALS = 5


def round_robin(similarity: NDArray[np.float64], budget: int) -> NDArray[np.int64]:
    """Rows taken of (N, Q) similarities: `min(budget, N)`, each once, the first taken first. Ties: the lower row."""
    rows, queries = similarity.shape
    preferred = np.argsort(-similarity, axis=0, kind="stable")
    place = np.zeros(queries, dtype=np.int64)
    taken = np.zeros(rows, dtype=np.bool_)
    picked: list[int] = []
    while len(picked) < min(budget, rows):
        for query in range(queries):
            if len(picked) == min(budget, rows):
                break
            while taken[preferred[place[query], query]]:
                place[query] += 1
            row = int(preferred[place[query], query])
            taken[row] = True
            picked.append(row)
    return np.array(picked, dtype=np.int64)


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    assert candidates.vectors is not None
    assert candidates.query_vectors is not None
    frame = candidates.frame
    similarity = (candidates.vectors @ candidates.query_vectors.T).round(COSINE_DECIMALS).astype(np.float64)
    allowed, left_out = admit(frame, similarity.max(axis=1), [], config)
    picked = round_robin(similarity[allowed], config.budget)
    return placed(frame, allowed, left_out, in_order(frame.filter(allowed), similarity.max(axis=1)[allowed], picked))


RDS_PLUS = Selector(_choose, "arXiv 2503.01807", vectors=True, queries=True)
