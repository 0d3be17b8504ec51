"""ZIP: the subset that compresses worst (arXiv 2407.06645), mended: exactly the budget, nothing twice.

A text's ratio is its bytes by its bytes under zlib; low is diverse. In rounds the K1 examples with the lowest ratio so far
are measured again together with all that is selected, the K2 lowest of them go on, and K3 are taken of these one at a time,
each the one that keeps the round's own pick least compressible. Released: budgets rounded up to K3, examples that
went on without being taken marked as used, selected ones taken again when the pool runs low.
"""

import zlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.selectors.base import Candidates, Selector, admit, in_order, placed
from adg_pipeline.settings.sections import SelectionConfig

FIRST, SECOND, TAKEN = 10_000, 200, 100  # K1, K2, K3
LEVEL = 9


def compression_ratio(text: bytes) -> float:
    """Bytes of a text by its bytes under zlib, level 9."""
    return len(text) / len(zlib.compress(text, LEVEL))


def least_compressible(
    texts: list[bytes], budget: int, first: int = FIRST, second: int = SECOND, taken: int = TAKEN
) -> NDArray[np.int64]:
    """Places of the texts picked, in the order in which they were: `min(budget, N)`. Ties: the lower place."""
    ratio = np.array([compression_ratio(text) for text in texts])
    left = np.ones(len(texts), dtype=np.bool_)
    picked: list[int] = []
    while len(picked) < min(budget, len(texts)):
        rows = np.flatnonzero(left)
        measured = rows[np.argsort(ratio[rows], kind="stable")[:first]]
        ratio[measured] = _with_each([texts[row] for row in picked], [texts[row] for row in measured])
        pool = measured[np.argsort(ratio[measured], kind="stable")[:second]].tolist()
        own: list[int] = []
        while pool and len(own) < taken and len(picked) + len(own) < budget:
            best = int(np.argmin(_with_each([texts[row] for row in own], [texts[row] for row in pool])))
            own.append(pool.pop(best))
        picked += own
        left[own] = False
    return np.array(picked, dtype=np.int64)


def _with_each(before: list[bytes], others: list[bytes]) -> list[float]:
    """Ratio of all texts before, with each of the others after them. What is common is compressed once."""
    compressor = zlib.compressobj(LEVEL)
    head, length = 0, 0
    for text in before:
        head += len(compressor.compress(text + b"\n"))
        length += len(text) + 1
    ratios = []
    for text in others:
        tail = compressor.copy()
        ratios.append((length + len(text)) / (head + len(tail.compress(text)) + len(tail.flush())))
    return ratios


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    frame = candidates.frame
    allowed, left_out = admit(frame, np.zeros(frame.height), [], config)
    kept = frame.filter(allowed)
    texts = ["\n".join(row).encode() for row in kept.select("instruction", "input", "output").iter_rows()]
    picked = least_compressible(texts, config.budget)
    scores = -np.array([compression_ratio(text) for text in texts]).round(6)
    return placed(frame, allowed, left_out, in_order(kept, scores, picked))


ZIP = Selector(_choose, "arXiv 2407.06645", ("instruction", "input", "output"), greedy=True)
