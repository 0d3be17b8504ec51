"""How sure a difference between two arms is: over the questions that were asked, and over the seeds that were trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

RESAMPLES = 4_000
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
    tasks: ArrayLike | None = None,
) -> Difference:
    """Difference of two arms on the same questions, by a bootstrap over questions and seeds.

    Questions (whole clusters of them, within each task) and seeds are drawn anew together. What few draws understate is
    stretched by n / (n - 1), and the chance of single marks, which both kinds of drawing hold, counts once (the crossed
    random effects of Owen, 2007, doi:10.1214/07-AOAS122). The interval is Student's, with the degrees of freedom of Welch
    and Satterthwaite. docs/comparison.md tells how often such intervals hold the truth.

    Args:
        a, b: (seeds, questions): marks of the same questions in the same order. The numbers of seeds may differ.
        clusters: (questions,) labels of questions that belong together (subtasks); every question for itself if None.
        level: share of such intervals that hold the truth.
        seed: of the bootstrap.
        paired_seeds: row s of both comes from the same draw of what varies (world, pool), so rows are drawn in pairs.
        tasks: (questions,) labels of tasks; the figure is then the plain mean of theirs. One task if None.

    Raises:
        ValueError: the arrays don't have the same questions, hold NaN, or are empty, or a task has a single cluster.
    """
    first, second = np.atleast_2d(np.asarray(a, np.float64)), np.atleast_2d(np.asarray(b, np.float64))
    if first.shape[1] != second.shape[1] or not first.size or not second.size:
        raise ValueError(f"arrays of shapes {first.shape} and {second.shape} are not of the same questions")
    if np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("there are NaN among the marks: leave out the questions that were not answered by both")
    if paired_seeds and len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} seeds can't be paired")
    design = _Design.of(first.shape[1], clusters, tasks)
    arms = [design.sums(first - second)] if paired_seeds else [design.sums(first), design.sums(-second)]
    mean = float(sum(design.mean(arm.mean(axis=0)) for arm in arms))
    error, freedom = _error(design, arms, mean, np.random.default_rng(seed))
    reach = _quantile(0.5 + level / 2, freedom) * error
    p = 2 * _below(-abs(mean) / error, freedom) if error else float(mean == 0.0)
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
    reach = _quantile(0.5 + level / 2, len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean, mean - reach, mean + reach


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several comparisons, adjusted so that the chance of any false find stays what each p says (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.asarray(p_values, np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(p) for p in adjusted]


@dataclass(frozen=True)
class _Design:
    """Which clusters there are, and what each counts.

    of_question: (questions,) cluster of each. sizes: (clusters,) questions of each. task: (clusters,) task of each.
    """

    of_question: Places
    sizes: Floats
    task: Places

    @classmethod
    def of(cls, questions: int, clusters: ArrayLike | None, tasks: ArrayLike | None) -> "_Design":
        labels = [np.zeros(questions, np.int64) if tasks is None else np.unique(tasks, return_inverse=True)[1]]
        labels.append(np.arange(questions) if clusters is None else np.unique(clusters, return_inverse=True)[1])
        if any(len(of) != questions for of in labels):
            raise ValueError(f"{min(map(len, labels))} labels for {questions} questions")
        # Two tasks may name a cluster alike.
        found, of_question = np.unique(np.stack(labels), axis=1, return_inverse=True)
        design = cls(of_question, np.bincount(of_question).astype(np.float64), found[0])
        if (design.clusters_in_task == 1).any():
            raise ValueError("all questions of a task are of one cluster: what others would give can't be told from it")
        return design

    @property
    def clusters_in_task(self) -> Places:
        return np.bincount(self.task)

    def by_task(self, of_clusters: Floats) -> Floats:
        """(…, clusters) → (…, tasks): sums."""
        if self.task[-1] == 0:
            return of_clusters.sum(axis=-1, keepdims=True)
        return np.stack([of_clusters[..., self.task == one].sum(axis=-1) for one in range(self.task[-1] + 1)], axis=-1)

    def sums(self, marks: Floats) -> Floats:
        """(seeds, questions) → (seeds, clusters)."""
        return np.stack([np.bincount(self.of_question, weights=row) for row in marks])

    def mean(self, of_clusters: Floats, weights: Floats | None = None) -> Floats:
        """(…, clusters) sums → (…,) plain mean of the tasks' means; weights: how often each cluster was drawn."""
        drawn = np.ones(len(self.sizes)) if weights is None else weights
        means: Floats = (self.by_task(of_clusters * drawn) / self.by_task(self.sizes * drawn)).mean(axis=-1)
        return means

    def contributions(self, arm: Floats) -> Floats:
        """(seeds, clusters): what each adds to how far its seed's figure lies from the arm's."""
        of_task = self.by_task(arm.mean(axis=0)) / self.by_task(self.sizes)
        share = self.by_task(self.sizes)[self.task] * len(self.clusters_in_task)
        return (arm - of_task[self.task] * self.sizes) / share

    def draw(self, draw: np.random.Generator) -> Floats:
        """(BLOCK, clusters): how often each is drawn where every task draws as many as it has."""
        drawn = np.empty((BLOCK, len(self.sizes)))
        for one, count in enumerate(self.clusters_in_task):
            # Faster than a multinomial of many outcomes.
            places = draw.integers(0, count, (BLOCK, count)) + count * np.arange(BLOCK)[:, None]
            drawn[:, self.task == one] = np.bincount(places.ravel(), minlength=BLOCK * count).reshape(BLOCK, count)
        return drawn


def _error(design: _Design, arms: Sequence[Floats], mean: float, draw: np.random.Generator) -> tuple[float, float]:
    """Standard error of the difference, and its degrees of freedom."""
    resampled = [_resampled(design, [_stretched(arm) for arm in arms], draw) for _ in range(RESAMPLES // BLOCK)]
    variance = float(((np.concatenate(resampled) - mean) ** 2).mean())
    of_arms = [design.contributions(arm) for arm in arms]
    counts = design.clusters_in_task
    questions = design.by_task(sum(of.mean(axis=0) for of in of_arms) ** 2) * counts / (counts - 1)
    total, below = float(questions.sum()), float((questions**2 / (counts - 1)).sum())
    variance += float((questions / counts).sum())
    for of in of_arms:
        seeds = len(of)
        if seeds == 1:
            continue
        between = float(of.sum(axis=1).var(ddof=1)) / seeds
        single = of - of.mean(axis=0) - (design.by_task(of) / counts)[:, design.task]
        chance = design.by_task((single**2).sum(axis=0)) * counts / ((counts - 1) * (seeds - 1) * seeds)
        variance -= float(chance.sum()) + min(between, float(chance.sum()))
        total += max(between - float(chance.sum()), 0.0)
        below += between**2 / (seeds - 1) + float((chance**2 / ((counts - 1) * (seeds - 1))).sum())
    if total <= 0.0:
        return 0.0, 1.0
    return float(np.sqrt(max(variance, float(questions.sum())))), max(1.0, total**2 / below)


def _stretched(arm: Floats) -> Floats:
    seeds = len(arm)
    centre = arm.mean(axis=0)
    return centre + (arm - centre) * np.sqrt(seeds / (seeds - 1)) if seeds > 1 else arm


def _resampled(design: _Design, arms: Sequence[Floats], draw: np.random.Generator) -> Floats:
    """(BLOCK,) differences with clusters and seeds drawn anew; the clusters are the same ones for both arms."""
    weights = design.draw(draw)
    total = np.zeros_like(weights)
    for arm in arms:
        seeds = len(arm)
        total += draw.multinomial(seeds, np.full(seeds, 1 / seeds), BLOCK) @ arm / seeds
    return design.mean(total, weights)


def _quantile(share: float, freedom: float) -> float:
    """Of Student's distribution."""
    from scipy.special import stdtrit  # takes a quarter of a second, which loading the definitions needn't spend

    return float(stdtrit(freedom, share))


def _below(value: float, freedom: float) -> float:
    """Share of Student's distribution below a value."""
    from scipy.special import stdtr

    return float(stdtr(freedom, value))
