"""RDS+: in turns each query takes the example that is most like it (arXiv 2503.01807).

Likeness is the cosine of hidden states, a mean over the conversation that weighs later tokens more. A query whose best is
taken goes on to its next; the released code lets it lose its turn instead.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.selectors.base import Candidates, Selector, admit, in_order, placed
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 5


def round_robin(likeness: NDArray[np.float64], budget: int) -> NDArray[np.int64]:
    """Rows of an (N, Q) matrix in the order in which they are taken: `min(budget, N)`. Equally like: the first row."""
    rows, queries = likeness.shape
    budget = min(budget, rows)
    # No query gets further than that, whatever the others take.
    lists = np.stack([_best(likeness[:, query], budget) for query in range(queries)])
    place = np.zeros(queries, dtype=np.int64)
    taken = np.zeros(rows, dtype=np.bool_)
    picked: list[int] = []
    while len(picked) < budget:
        for query in range(queries):
            while taken[lists[query, place[query]]]:
                place[query] += 1
            row = int(lists[query, place[query]])
            taken[row] = True
            picked.append(row)
            if len(picked) == budget:
                break
    return np.array(picked, dtype=np.int64)


def _best(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The rows of the highest values, the highest first."""
    if count == len(values):
        return np.argsort(-values, kind="stable")
    least = -np.partition(-values, count - 1)[count - 1]
    rows = np.flatnonzero(values >= least)
    return rows[np.argsort(-values[rows], kind="stable")][:count]


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    assert candidates.likeness is not None
    frame = candidates.frame
    likeness = candidates.likeness.astype(np.float64).round(DECIMALS)
    scores = likeness.max(axis=1)
    allowed, left_out = admit(frame, scores, [], config)
    rows = np.flatnonzero(allowed)
    picked = round_robin(likeness[rows], config.budget) if len(rows) else np.zeros(0, dtype=np.int64)
    return placed(frame, allowed, left_out, in_order(frame.filter(allowed), scores[rows], picked))


RDS_PLUS = Selector(_choose, "arXiv 2503.01807", queries=True, likeness=True, greedy=True)
