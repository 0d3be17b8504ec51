"""Selection within semantic bins: from each bin its quota of examples, by score.

Scores tie often (all answers alike: score 0), so ties break by example id and the result doesn't depend on the order
of rows. Only the released code's rule, kept for comparisons, breaks ties by position, as it does.
"""

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from adg_pipeline.algorithms.quotas import largest_remainder, released

Quota = Literal["largest_remainder", "released"]
Rank = Literal["top", "middle", "bottom"]
Ids: TypeAlias = ArrayLike | pl.Series | pa.Array | pa.ChunkedArray
Rows = NDArray[np.int64]


def select(
    ids: Ids, scores: ArrayLike, bins: ArrayLike, budget: int, *, quota: Quota = "largest_remainder", rank: Rank = "top"
) -> NDArray[Any]:
    """Ids of the selected examples, best first: by falling score, equal scores by rising id.

    Args:
        ids: (N,) unique strings or integers, as a list, numpy, polars or pyarrow array.
        scores: (N,) without NaN: leave out what could not be scored.
        bins: (N,) integers.
        budget: examples wanted, 0 or more.
        quota: "largest_remainder" returns exactly ``min(budget, N)`` ids. "released" follows the paper's code id for
            id: fewer ids as a rule (see `quotas.released`), bin by bin in order of first appearance, each by falling
            score, ties by position; where it finds more than the budget, the best of them by score (the worst, for
            ``bottom``).
        rank: the part of each bin's ranking that is taken: its top, its bottom, or the middle between them.

    Raises:
        ValueError: lengths differ, a score is NaN, or the budget is negative.
    """
    column = _series(ids)
    picked = _pick(column, scores, bins, budget, quota, rank).picked
    return ids[picked] if isinstance(ids, np.ndarray) else column.gather(picked).to_numpy()


def rank_table(
    ids: Ids, scores: ArrayLike, bins: ArrayLike, budget: int, *, quota: Quota = "largest_remainder", rank: Rank = "top"
) -> pl.DataFrame:
    """Where each example stands: one row per example, in the order given. Arguments as for `select`.

    Columns: example_id, score, bin, bin_rank (1 is the best of its bin), bin_size, bin_quota (for "released", before
    the cut to the budget), selected, position (place in the subset from 1, in the order of `select`, or null).
    """
    column = _series(ids)
    ranking = _pick(column, scores, bins, budget, quota, rank)
    position = np.zeros(len(column), dtype=np.int32)
    position[ranking.picked] = np.arange(1, len(ranking.picked) + 1)
    return pl.DataFrame(
        {
            "example_id": column,
            "score": np.asarray(scores, dtype=np.float64),
            "bin": np.asarray(bins),
            "bin_rank": ranking.bin_rank,
            "bin_size": ranking.bin_size,
            "bin_quota": ranking.bin_quota,
            "selected": position > 0,
            "position": position,
        }
    ).with_columns(pl.col("position").replace(0, None))


class _Ranking(NamedTuple):
    picked: Rows  # selected rows, in the order in which they are returned
    bin_rank: NDArray[np.int32]
    bin_size: NDArray[np.int32]
    bin_quota: NDArray[np.int32]


def _pick(ids: pl.Series, scores: ArrayLike, bins: ArrayLike, budget: int, quota: Quota, rank: Rank) -> _Ranking:
    score = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(bins) if len(score) else np.zeros(0, dtype=np.int64)
    if not len(ids) == len(score) == len(labels):
        raise ValueError(f"{len(ids)} ids, {len(score)} scores and {len(labels)} bins: lengths must be equal")
    if budget < 0:
        raise ValueError(f"budget is {budget}: it must not be negative")
    if missing := int(np.isnan(score).sum()):
        raise ValueError(f"{missing} of {len(score)} scores are NaN: leave out the examples that could not be scored")
    by_position = quota == "released"

    code = _by_first_appearance(labels) if by_position else _from_zero(labels)
    sizes = np.bincount(code)
    order = _by_bin_and_score(code, score)
    if not by_position:
        _break_ties(order, code, score, ids)

    starts = np.cumsum(sizes) - sizes
    bin_of = code[order]
    place = np.arange(len(order)) - starts[bin_of]  # 0 is the best of its bin
    if by_position:
        quotas = released(sizes, budget)
        count = getattr(quotas, rank)
        first = {
            "top": np.zeros_like(sizes),
            "middle": np.where(sizes < 3, 0, quotas.top + (sizes - quotas.top - quotas.bottom - quotas.middle) // 2),
            "bottom": sizes - quotas.bottom,
        }[rank]
    else:
        count = largest_remainder(sizes, budget)
        first = {"top": np.zeros_like(sizes), "middle": (sizes - count) // 2, "bottom": sizes - count}[rank]
    picked = order[(place >= first[bin_of]) & (place < (first + count)[bin_of])]

    if by_position:
        if len(picked) > budget:
            falling = score[picked] if rank == "bottom" else -score[picked]
            picked = picked[np.argsort(falling, kind="stable")[:budget]]
    else:
        picked = picked[np.argsort(-score[picked], kind="stable")]
        _break_ties(picked, np.zeros_like(code), score, ids)

    bin_rank = np.empty(len(order), dtype=np.int32)
    bin_rank[order] = place + 1
    return _Ranking(picked, bin_rank, sizes[code].astype(np.int32), count[code].astype(np.int32))


def _from_zero(labels: NDArray[np.integer[Any]]) -> Rows:
    """Bin numbers from 0 up, in the order of the labels; gaps stay where they are small enough to count through."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"bins must be integers, not {labels.dtype}")
    if not len(labels):
        return labels.astype(np.int64)
    lowest, highest = int(labels.min()), int(labels.max())
    if highest - lowest <= 4 * len(labels):
        return labels.astype(np.int64) - lowest
    return np.unique(labels, return_inverse=True)[1]


def _by_first_appearance(labels: NDArray[np.integer[Any]]) -> Rows:
    _, first_row, code = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first_row))[code]


def _by_bin_and_score(code: Rows, score: NDArray[np.float64]) -> Rows:
    """Rows by bin, then by falling score, then by position."""
    order = np.argsort(-score, kind="stable")
    # numpy sorts 16-bit integers by radix, eight times faster than wider ones.
    narrow = code.astype(np.uint16) if code.max(initial=0) < 2**16 else code
    return order[np.argsort(narrow[order], kind="stable")]


def _break_ties(order: Rows, code: Rows, score: NDArray[np.float64], ids: pl.Series) -> None:
    """Put the rows of each run of equal bin and score in the order of their ids, in place."""
    follows = np.zeros(len(order) + 1, dtype=np.bool_)
    follows[1:-1] = (score[order[1:]] == score[order[:-1]]) & (code[order[1:]] == code[order[:-1]])
    tied = np.flatnonzero(follows[:-1] | follows[1:])
    if not len(tied):
        return
    run = np.cumsum(~follows[tied])
    by_id = ids.gather(order[tied]).arg_sort().to_numpy()
    order[tied] = order[tied[by_id[np.argsort(run[by_id], kind="stable")]]]


def _series(ids: Ids) -> pl.Series:
    return pl.Series("example_id", ids if isinstance(ids, pl.Series | pa.Array | pa.ChunkedArray) else np.asarray(ids))
