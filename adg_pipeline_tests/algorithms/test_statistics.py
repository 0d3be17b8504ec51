"""Differences between arms: on hand-made marks, against every resample there is, and how often intervals hold the truth."""

from itertools import product

import numpy as np
import pytest

from adg_pipeline.algorithms import statistics
from adg_pipeline.algorithms.statistics import Floats, holm, mean_interval, paired_difference


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 500)


def test_the_mean_is_that_of_the_marks() -> None:
    result = paired_difference([[1, 1, 0, 1], [1, 0, 0, 1]], [[0, 1, 0, 1]])
    assert result.mean == pytest.approx(5 / 8 - 1 / 2)
    assert result.low < result.mean < result.high
    assert (result.seeds, result.questions) == (1, 4)


def test_the_mean_of_several_tasks_gives_each_the_same_weight() -> None:
    tasks = ["long", "long", "long", "long", "short", "short"]
    result = paired_difference([[1, 1, 1, 1, 0, 1]], [[0, 0, 0, 1, 0, 1]], tasks=tasks)
    assert result.mean == pytest.approx((0.75 + 0.0) / 2)


def test_equal_arms_do_not_differ() -> None:
    marks = np.random.default_rng(0).integers(0, 2, (3, 50))
    result = paired_difference(marks, marks, paired_seeds=True)
    assert (result.mean, result.low, result.high, result.p) == (0.0, 0.0, 0.0, 1.0)


def test_an_arm_that_is_always_better_differs_for_certain() -> None:
    result = paired_difference(np.ones((2, 10)), np.zeros((3, 10)))
    assert (result.mean, result.low, result.high, result.p) == (1.0, 1.0, 1.0, 0.0)


def test_questions_that_belong_together_count_as_one_draw(quick: None) -> None:
    one = np.random.default_rng(1).integers(0, 2, (2, 20)).astype(float)
    copied, zero = np.repeat(one, 10, axis=1), np.zeros((2, 200))
    alone = paired_difference(copied, zero)
    together = paired_difference(copied, zero, clusters=np.repeat(np.arange(20), 10))
    original = paired_difference(one, np.zeros((2, 20)))
    assert together.mean == pytest.approx(original.mean)
    assert together.high - together.low == pytest.approx(original.high - original.low, rel=0.1)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    draw = np.random.default_rng(2)
    a, b = draw.random((3, 30)), draw.random((4, 30))
    assert paired_difference(a, b, seed=5) == paired_difference(a, b, seed=5)


def every_resample(arms: list[Floats], labels: list[int]) -> float:
    """Variance of the difference over all the ways to draw clusters and seeds anew, each as likely; slow and exact."""
    members = [np.flatnonzero(np.asarray(labels) == one) for one in sorted(set(labels))]
    seeds = [list(product(range(len(arm)), repeat=len(arm))) for arm in arms]
    found = []
    for drawn in product(range(len(members)), repeat=len(members)):
        questions = np.concatenate([members[one] for one in drawn])
        means = [[arm[list(rows)][:, questions].mean() for rows in of] for arm, of in zip(arms, seeds, strict=True)]
        found += [first - second for first, second in product(*means)]
    return float(np.var(found))


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 2]])
def test_resamples_vary_as_all_resamples_that_there_are(labels: list[int]) -> None:
    draw = np.random.default_rng(4)
    arms = [draw.random((seeds, len(labels))) for seeds in (2, 3)]
    design = statistics._Design.of(len(labels), labels, None)
    sums = [design.sums(arms[0]), design.sums(-arms[1])]
    drawn = np.concatenate([statistics._resampled(design, sums, draw) for _ in range(80)])
    assert np.var(drawn) == pytest.approx(every_resample(arms, labels), rel=0.03)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 1, 1, 2, 2]])
def test_the_error_is_that_of_all_resamples_once_each_draw_is_stretched_and_chance_counts_once(
    labels: list[int],
) -> None:
    """Clusters of one size, where both can be told exactly: V(all) = V(questions) + V(seeds) + V(chance)."""
    draw = np.random.default_rng(5)
    arms = [draw.random((2, len(labels))) + draw.normal(0, 2, (2, 1)) for _ in range(2)]
    design = statistics._Design.of(len(labels), labels, None)
    sums = [design.sums(arms[0]), design.sums(-arms[1])]
    mean = float(sum(design.mean(arm.mean(axis=0)) for arm in sums))
    error, _ = statistics._error(design, sums, mean, draw)
    clusters = len(set(labels))
    by_cluster = [
        np.stack([arm[:, np.asarray(labels) == one].mean(axis=1) for one in range(clusters)], 1) for arm in arms
    ]
    questions = (by_cluster[0] - by_cluster[1]).mean(axis=0).var(ddof=1) / clusters
    seeds = sum(arm.mean(axis=1).var(ddof=1) / len(arm) for arm in by_cluster)
    chance = sum(
        ((arm - arm.mean(0) - arm.mean(1, keepdims=True) + arm.mean()) ** 2).sum()
        / (clusters - 1)
        / len(arm)
        / clusters
        for arm in by_cluster
    )
    assert error**2 == pytest.approx(questions + seeds - chance, rel=0.06)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.2])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("paired", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(quick: None, seeds: int, paired: bool) -> None:
    """A small version of benchmarks/coverage.py."""
    draw = np.random.default_rng(3)
    held, trials, questions = 0, 300, 60
    for _ in range(trials):
        difficulty = draw.normal(0, 1, questions)
        luck = draw.normal(0, 0.3, (2, seeds, 1))
        if paired:
            luck[1] = luck[0] + draw.normal(0, 0.2, (seeds, 1))
        noise = draw.normal(0, 0.5, (2, seeds, questions))
        a, b = difficulty + 0.2 + luck[0] + noise[0], difficulty + luck[1] + noise[1]
        result = paired_difference(a, b, paired_seeds=paired)
        held += result.low <= 0.2 <= result.high
    assert 0.92 <= held / trials <= 0.985


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([[1, 0]], [[1, 0, 1]], "same questions"),
        ([[np.nan, 0]], [[1, 0]], "NaN"),
        ([[]], [[]], "same questions"),
    ],
)
def test_marks_that_cannot_be_paired_are_refused(a: list[list[float]], b: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_difference(a, b)


def test_one_cluster_tells_nothing_of_others() -> None:
    with pytest.raises(ValueError, match="of one cluster"):
        paired_difference([[1, 0]], [[0, 1]], clusters=["a", "a"])


def test_the_interval_of_a_mean_is_students() -> None:
    """Hand case: mean 2, standard deviation 1, three values; t at 97.5% with 2 degrees of freedom is 4.302653."""
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2.0)
    assert (mean - low, high - mean) == pytest.approx((4.302653 / 3**0.5, 4.302653 / 3**0.5), rel=1e-6)
    assert mean_interval([5.0]) == (5.0, 5.0, 5.0)
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])
