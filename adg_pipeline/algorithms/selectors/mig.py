"""MIG: greedy information gain over a graph of labels (arXiv 2504.13835), our semantic bins being the labels.

The released code labels examples with tags of a tagger that few have. Bins do as well: one label an example, edges by the
similarity of centroids. Unlike quotas the rule can give a bin of little quality less than its share.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.selectors import adg
from adg_pipeline.algorithms.selectors.base import Candidates, Scores, Selector, admit, in_order, placed
from adg_pipeline.settings.sections import SelectionConfig

SIMILAR = 0.9  # cosines of centroids below this are no edge
EXPONENT, OFFSET = 0.8, 1e-6  # φ(x) = (x + 1e-6)^0.8


def propagation(centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C, C) adjacency of the bins, its columns at sum 1."""
    unit = centroids.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    cosines = (unit @ unit.T).round(6)
    adjacency = np.where(cosines >= SIMILAR, cosines, 0.0)
    np.fill_diagonal(adjacency, 1.0)
    return adjacency / adjacency.sum(axis=0, keepdims=True)


def greedy(quality: Scores, labels: NDArray[np.int64], spread: NDArray[np.float64], budget: int) -> NDArray[np.int64]:
    """Places of the examples taken, the first taken first; equal gains: the first label, then the first row.

    An example's gain is its quality spread over the labels, weighed with φ' of what they have already. So within a label
    the best left is always next, and a step compares labels only.
    """
    by_label = np.lexsort((np.arange(len(quality)), -quality, labels))
    starts = np.searchsorted(labels[by_label], np.arange(len(spread)))
    ends = np.searchsorted(labels[by_label], np.arange(len(spread)), side="right")
    best = np.full(len(spread), -np.inf)
    waiting = ends > starts
    best[waiting] = quality[by_label[starts[waiting]]]
    information = np.zeros(len(spread))
    weights = spread.T @ _derivative(information)
    picked = np.empty(min(budget, len(quality)), dtype=np.int64)
    for step in range(len(picked)):
        label = int(np.argmax(np.where(np.isfinite(best), best * weights, -np.inf)))
        row = by_label[starts[label]]
        picked[step] = row
        starts[label] += 1
        best[label] = quality[by_label[starts[label]]] if starts[label] < ends[label] else -np.inf
        touched = np.flatnonzero(spread[:, label])
        before = _derivative(information[touched])
        information[touched] += quality[row] * spread[touched, label]
        weights += spread[touched].T @ (_derivative(information[touched]) - before)
    return picked


def _derivative(information: NDArray[np.float64]) -> NDArray[np.float64]:
    return EXPONENT * (information + OFFSET) ** (EXPONENT - 1.0)


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    assert candidates.centroids is not None
    frame = candidates.frame
    quality = adg.score(frame, config)
    allowed, left_out = admit(frame, quality, [], config)
    labels = frame.filter(allowed)["bin"].to_numpy().astype(np.int64)
    picked = greedy(quality[allowed], labels, propagation(candidates.centroids), config.budget)
    return placed(frame, allowed, left_out, in_order(frame.filter(allowed), quality[allowed], picked))


MIG = Selector(_choose, "arXiv 2504.13835", ("dispersion", "anisotropy"), centroids=True, greedy=True)
