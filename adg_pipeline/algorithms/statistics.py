"""How sure a difference between two arms is: over the questions that were asked, and over the seeds that were trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

RESAMPLES = 10_000
BLOCK = 500  # resamples held at once: 500 × 14,000 questions are 56 MB


@dataclass(frozen=True)
class Difference:
    """Mean of a - b, its interval, and p of no difference (two-sided).

    With one seed an arm, the interval knows nothing of what another seed would have given: `seeds` tells.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    questions: int


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    *,
    paired_seeds: bool = False,
) -> Difference:
    """Difference of two arms on the same questions, by a bootstrap over questions and seeds.

    The standard error is that of means whose questions (whole clusters of them) and seeds are both drawn anew. Few seeds
    understate how seeds differ; so their deviations are stretched by √(S / (S - 1)), and the interval is Student's, with
    the degrees of freedom of Welch and Satterthwaite. On simulated arms of two to ten seeds its
    95% intervals held the truth 95 to 98 times of 100: rather wide than narrow.

    Args:
        a, b: (seeds, questions): marks of the same questions in the same order. The numbers of seeds may differ.
        clusters: (questions,) labels of questions that belong together (subtasks); every question for itself if None.
        level: share of such intervals that hold the truth.
        seed: of the bootstrap.
        paired_seeds: row s of both comes from the same draw of what varies (world, pool), so rows are drawn in pairs.

    Raises:
        ValueError: the arrays don't have the same questions, hold NaN, or are empty.
    """
    first, second = np.atleast_2d(np.asarray(a, np.float64)), np.atleast_2d(np.asarray(b, np.float64))
    if first.shape[1] != second.shape[1] or not first.size or not second.size:
        raise ValueError(f"arrays of shapes {first.shape} and {second.shape} are not of the same questions")
    if np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("there are NaN among the marks: leave out the questions that were not answered by both")
    if paired_seeds and len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} seeds can't be paired")
    labels = np.arange(first.shape[1]) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(labels) != first.shape[1]:
        raise ValueError(f"{len(labels)} cluster labels for {first.shape[1]} questions")
    # Sums by cluster, so that a resample weighs clusters; its mean is over all the questions that it holds.
    sizes = np.bincount(labels).astype(np.float64)
    arms = (
        [_by_cluster(first - second, labels)]
        if paired_seeds
        else [_by_cluster(first, labels), _by_cluster(-second, labels)]
    )
    mean = float(sum(arm.mean(axis=0).sum() for arm in arms) / sizes.sum())
    stretched = [_stretched(arm) for arm in arms]
    draw = np.random.default_rng(seed)
    deviations = np.concatenate([_resampled(stretched, sizes, draw) for _ in range(RESAMPLES // BLOCK)]) - mean
    error = float(np.sqrt((deviations**2).mean()))
    if error == 0.0:
        return Difference(mean, mean, mean, 1.0 if mean == 0.0 else 0.0, min(len(first), len(second)), first.shape[1])
    freedom = _degrees_of_freedom(arms, sizes, mean)
    reach = float(stats.t.ppf(0.5 + level / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    return Difference(mean, mean - reach, mean + reach, p, min(len(first), len(second)), first.shape[1])


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean of independent values, such as one per seed, and Student's interval for it; without width for one value.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean, mean
    reach = float(stats.t.ppf(0.5 + level / 2, len(values) - 1)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean, mean - reach, mean + reach


def _by_cluster(marks: Floats, labels: NDArray[np.int64]) -> Floats:
    """(seeds, clusters): sums of the marks of each cluster."""
    return np.stack([np.bincount(labels, weights=row) for row in marks])


def _stretched(arm: Floats) -> Floats:
    seeds = len(arm)
    centre = arm.mean(axis=0)
    return centre + (arm - centre) * np.sqrt(seeds / (seeds - 1)) if seeds > 1 else arm


def _resampled(arms: list[Floats], sizes: Floats, draw: np.random.Generator) -> Floats:
    """(BLOCK,) differences with clusters and seeds drawn anew; the clusters are the same ones for both arms."""
    clusters = len(sizes)
    weights = draw.multinomial(clusters, np.full(clusters, 1 / clusters), BLOCK)
    total = np.zeros((BLOCK, clusters))
    for arm in arms:
        seeds = len(arm)
        total += draw.multinomial(seeds, np.full(seeds, 1 / seeds), BLOCK) @ arm / seeds
    drawn: Floats = (total * weights).sum(axis=1) / (weights @ sizes)
    return drawn


def _degrees_of_freedom(arms: list[Floats], sizes: Floats, mean: float) -> float:
    """Welch's and Satterthwaite's, of the variance over clusters and of that over each arm's seeds."""
    clusters, questions = len(sizes), sizes.sum()
    residual = sum(arm.mean(axis=0) for arm in arms) - mean * sizes
    parts = [(clusters / max(clusters - 1, 1) * float((residual**2).sum()) / questions**2, max(clusters - 1, 1))]
    parts += [
        (float((arm.sum(axis=1) / questions).var(ddof=1)) / len(arm), len(arm) - 1) for arm in arms if len(arm) > 1
    ]
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / freedom for variance, freedom in parts)
    return float(total**2 / below) if below > 0 else float("inf")
