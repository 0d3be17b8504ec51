"""How well a cheaper setting picks what the full one does, told from the answers of the full one alone.

A cheaper setting and the full one, computed from the same answers, agree too well: they share the chance of those answers. So
each is held against the full setting on *other* answers: the K of an example are parted in two, the one part is scored in
the cheaper way, the other in the full one, and the correlation of what they pick (0 or 1 for each example, so that
agreement by chance is 0) is taken as a share of what the full way reaches against itself across the same parts. 1 means: as
good as the full way with as many answers. That is a correlation corrected for attenuation (Spearman, 1904).

Fewer answers are the same measure with more chance in it. What the parts tell of the chance in K/2 answers gives that in
any number of them by the Spearman-Brown formula, r_k = k r / (1 + (k - 1) r): the pick of k answers agrees with that of K
new ones by sqrt(r_k r_K), that of K others by r_K. Two answers differ in one direction only, so their anisotropy is 0 and
what is told of them is too good. docs/plan.md says how far off all this was where the truth is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.algorithms.divergence import adg_score, gram_divergence

Floats = NDArray[np.float64]
Scorer = Callable[[Floats], Floats]

DECIMALS = 4
MOST_SPLITS = 20
RESAMPLES = 1000
FEWEST = 4  # answers: each part needs two to diverge


@dataclass(frozen=True)
class Adjusted:
    """Stability-adjusted agreement, 1 being as good as the full setting, with its 95% interval over examples."""

    value: float
    low: float
    high: float


def paper_score(weight: float) -> Scorer:
    """(N, K, K) cosines → (N,) the paper's score, rounded as it is ranked."""

    def score(cosines: Floats) -> Floats:
        found = gram_divergence(cosines).rounded(DECIMALS)
        return adg_score(found.dispersion, found.anisotropy, weight)

    return score


def splits(k: int, seed: int = 0) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Ways to part K answers in two, (K // 2, the others): all of them, or `MOST_SPLITS` drawn.

    Raises ValueError for fewer than four answers.
    """
    if k < FEWEST:
        raise ValueError(f"{k} answers can't be parted in two that diverge: at least {FEWEST} are needed")
    if k > 10:
        draw = np.random.default_rng(seed)
        orders = [draw.permutation(k).tolist() for _ in range(MOST_SPLITS)]
        parts = [tuple(sorted(order[: k // 2])) for order in orders]
    else:
        parts = list(combinations(range(k), k // 2))
        if k % 2 == 0:
            parts = parts[: len(parts) // 2]  # the others are the same the other way round
        if len(parts) > MOST_SPLITS:
            chosen = np.random.default_rng(seed).choice(len(parts), MOST_SPLITS, replace=False)
            parts = [parts[place] for place in sorted(chosen)]
    return [(part, tuple(place for place in range(k) if place not in part)) for part in parts]


class Splits:
    """What the full way picks by either part of every split, for others to be held against.

    cosines: (N, K, K) of the answers. share: of the examples that are picked.
    """

    def __init__(self, cosines: Floats, score: Scorer, share: float) -> None:
        self.k = cosines.shape[1]
        self._score, self._share, self._parts = score, share, splits(self.k)
        self._full = self._picks(cosines)
        self._resamples = np.random.default_rng(0).integers(0, len(cosines), (RESAMPLES, len(cosines)))
        self._itself = self._crossed(self._full)

    @property
    def tells(self) -> bool:
        """Whether the full way surely agrees with itself by more than chance: else nothing can be held against it."""
        return float(np.quantile(self._itself, 0.025)) > 0

    def against(self, cosines: Floats, score: Scorer | None = None) -> Adjusted | None:
        """Adjusted agreement of another way to compare the same answers, (N, K, K); None where nothing can be told. score:
        its own, where that differs."""
        if not self.tells:
            return None
        return self._with_interval(self._crossed(self._picks(cosines, score)) / self._itself)

    def with_answers(self, count: int) -> Adjusted | None:
        """Adjusted agreement of the full way with ``count`` of the K answers; None where nothing can be told."""
        if not self.tells:
            return None
        parts = self._parts[0]
        reliable = _reliability_of_one(self._itself, len(parts[0]), len(parts[1]))
        return self._with_interval(np.sqrt(_spearman_brown(reliable, count) / _spearman_brown(reliable, self.k)))

    @property
    def own(self) -> float:
        """What the full way reaches against itself on other answers, K of them: the ceiling of every agreement."""
        parts = self._parts[0]
        one = _reliability_of_one(self._itself[:1], len(parts[0]), len(parts[1]))
        return float(_spearman_brown(one, self.k)[0])

    def _picks(self, cosines: Floats, score: Scorer | None = None) -> Floats:
        """(splits, 2, N) 1 for what is picked and 0 for the others, by the first and by the second part."""
        both = [
            [
                picked((score or self._score)(cosines[:, part][:, :, part]), self._share)
                for part in (list(first), list(second))
            ]
            for first, second in self._parts
        ]
        return np.array(both)

    def _crossed(self, picks: Floats) -> Floats:
        """(1 + resamples,) mean correlation of these picks by one part with the full way's by the other."""
        whole = np.arange(picks.shape[2])[None]
        return np.array([self._of_rows(picks, rows) for rows in np.concatenate([whole, self._resamples])])

    def _of_rows(self, picks: Floats, rows: NDArray[np.int64]) -> float:
        ours, theirs = picks[:, :, rows], self._full[:, ::-1, rows]
        ours, theirs = (each - each.mean(axis=2, keepdims=True) for each in (ours, theirs))
        norms = np.sqrt((ours**2).sum(axis=2) * (theirs**2).sum(axis=2))
        return float(np.mean((ours * theirs).sum(axis=2) / np.maximum(norms, 1e-12)))

    def _with_interval(self, values: Floats) -> Adjusted:
        low, high = np.quantile(values[1:], [0.025, 0.975])
        return Adjusted(float(values[0]), float(low), float(high))


def picked(scores: Floats, share: float) -> Floats:
    """(N,) 1 for the best share of the examples, 0 for the others; equal scores: the first."""
    found = np.zeros(len(scores))
    found[np.argsort(-scores, kind="stable")[: max(1, round(share * len(scores)))]] = 1.0
    return found


def overlap(one: Floats, other: Floats, share: float) -> float:
    """Jaccard of the best share of the examples by either score."""
    ours, theirs = picked(one, share) > 0, picked(other, share) > 0
    return float((ours & theirs).sum() / (ours | theirs).sum())


def overlap_with_fewer(cosines: Floats, score: Scorer, count: int, share: float) -> float:
    """Mean overlap of the pick with that from ``count`` of the K answers. With one less it is what any overlap of settings is
    to be read against."""
    whole, k = score(cosines), cosines.shape[1]
    rests = [list(rest) for rest in islice(combinations(range(k), count), MOST_SPLITS)]
    return float(np.mean([overlap(whole, score(cosines[:, rest][:, :, rest]), share) for rest in rests]))


def _reliability_of_one(crossed: Floats, first: int, second: int) -> Floats:
    """r of a single answer, where sqrt(r_first r_second) is what the two parts have in common; found by halving."""
    low, high = np.full(len(crossed), 1e-6), np.full(len(crossed), 1.0 - 1e-9)
    for _ in range(60):
        middle = (low + high) / 2
        less = np.sqrt(_spearman_brown(middle, first) * _spearman_brown(middle, second)) < crossed
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return (low + high) / 2


def _spearman_brown(one: Floats, count: int) -> Floats:
    found: Floats = count * one / (1 + (count - 1) * one)
    return found
