"""Of examples that are the same, or nearly: which clusters they form, and which one stands for the others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.algorithms.components import components

COSINE_DECIMALS = 5  # float32 products differ in the sixth with the shape of a block
BLOCK = 1024

Rows = NDArray[np.int64]


def clusters(labelings: Sequence[Rows]) -> Rows:
    """(N,) cluster of each row: two rows are in one where any of the labelings, (N,) each, gives both the same label, or
    where others lead from one to the other."""
    count = len(labelings[0])
    rows, groups, start = [], [], count
    for labels in labelings:
        _, places = np.unique(labels, return_inverse=True)
        rows.append(np.arange(count))
        groups.append(start + places)
        start += count
    return components(np.concatenate(rows), np.concatenate(groups), start)[:count]


def semantic_clusters(vectors: NDArray[np.float32], bins: Rows, likeness: float) -> Rows:
    """(N,) cluster of each row: rows of one bin whose (N, d) vectors, at unit length, have at least that cosine, and what
    they lead to. Compared within bins, as SemDeDup does (arXiv 2303.09540): two in neighbouring bins aren't found.
    """
    found = np.arange(len(bins))
    order = np.argsort(bins, kind="stable")
    _, starts = np.unique(bins[order], return_index=True)
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for members in np.split(order, starts[1:]):
        for at in range(0, len(members), BLOCK):
            block, rest = members[at : at + BLOCK], members[at:]
            cosines = (vectors[block] @ vectors[rest].T).round(COSINE_DECIMALS)
            one, other = np.nonzero(np.triu(cosines >= np.float32(likeness), k=1))
            first.append(block[one])
            second.append(rest[other])
    return components(np.concatenate(first), np.concatenate(second), len(found))


def survivors(cluster: Rows, scores: NDArray[np.float64], may: NDArray[np.bool_]) -> Rows:
    """(N,) the row that stands for each: of those of its cluster that may be taken, the one with the highest score, then the
    first. A row that may not be taken stands for nobody, and nobody for it.
    """
    found = np.arange(len(cluster))
    rows = np.flatnonzero(may)
    order = rows[np.lexsort((rows, -scores[rows], cluster[rows]))]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = cluster[order[1:]] != cluster[order[:-1]]
    found[order] = order[begins][np.cumsum(begins) - 1]
    return found
