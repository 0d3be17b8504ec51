"""How many examples each bin gives to the subset."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]


def largest_remainder(sizes: ArrayLike, budget: int, capacity: ArrayLike | None = None) -> Counts:
    """Whole quotas proportional to ``sizes`` that sum to exactly ``min(budget, what the bins can give)``.

    Hamilton's method: each bin gets its share rounded down, and what is left goes, one each, to the largest
    remainders; equal remainders go to the larger bin, then to the lower index. So a larger bin never gets less than a
    smaller one. All in whole numbers: no rounding error can move a quota.

    Args:
        sizes: (B,) weights of the bins, 0 or more; a bin of size 0 gets nothing.
        budget: examples to hand out, 0 or more.
        capacity: (B,) most that each bin can give; its size if None. What a full bin can't take goes to the others, in
            proportion to their sizes.
    """
    weights = np.asarray(sizes, dtype=np.int64)
    limits = weights if capacity is None else np.minimum(np.asarray(capacity, dtype=np.int64), np.iinfo(np.int64).max)
    if budget < 0 or (weights < 0).any() or (limits < 0).any():
        raise ValueError("budget, sizes and capacity must not be negative")
    if int(weights.max(initial=0)) * budget >= 2**63:
        raise ValueError(f"a budget of {budget} over bins of up to {weights.max()} exceeds 64-bit arithmetic")
    quotas = np.zeros_like(weights)
    open_bins = (weights > 0) & (limits > 0)
    left = min(budget, int(limits[open_bins].sum()))
    while left > 0:
        total = int(weights[open_bins].sum())
        full = open_bins & (left * weights // total >= limits)
        if not full.any():
            quotas[open_bins] = _hamilton(weights[open_bins], left, total)
            break
        quotas[full] = limits[full]
        left -= int(limits[full].sum())
        open_bins &= ~full
    return quotas


def _hamilton(weights: Counts, seats: int, total: int) -> Counts:
    quotas, remainders = np.divmod(weights * seats, total)
    left = seats - int(quotas.sum())
    # The last key of lexsort is the first to count.
    first = np.lexsort((np.arange(len(weights)), -weights, -remainders))[:left]
    quotas[first] += 1
    return quotas


class ReleasedQuotas(NamedTuple):
    """Rows that each bin gives to the three subsets of the released code, before they are cut to the budget."""

    top: Counts
    middle: Counts
    bottom: Counts


def released(sizes: ArrayLike, budget: int) -> ReleasedQuotas:
    """The quotas of the paper's released code, with its faults, for comparisons with its results.

    Each subset takes ``floor(size · budget / total)`` rows of a bin, at least one; where three such parts exceed the
    bin, they are scaled down to a third each. Bins of one or two rows go wholly to the middle subset. So ``top`` and
    ``bottom`` usually miss the budget, and never pass a third of the pool.
    """
    counts = np.asarray(sizes, dtype=np.int64)
    # The order of these float operations is that of the released code: another can floor to another quota.
    part = np.maximum(1, (counts * (budget / max(1, int(counts.sum())))).astype(np.int64))
    scaled = np.maximum(1, (part * (counts / (3 * part))).astype(np.int64))
    outer = np.where(3 * part > counts, scaled, part)
    middle = np.where(3 * part > counts, np.maximum(0, counts - 2 * scaled), part)
    small = counts < 3
    return ReleasedQuotas(
        top=np.where(small, 0, outer), middle=np.where(small, counts, middle), bottom=np.where(small, 0, outer)
    )
