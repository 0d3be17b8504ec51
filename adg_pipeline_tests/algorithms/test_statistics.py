"""Differences between arms: on hand-made marks, and how often intervals hold the truth."""

import numpy as np
import pytest

from adg_pipeline.algorithms import statistics
from adg_pipeline.algorithms.statistics import mean_interval, paired_difference


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 500)


def test_the_mean_is_that_of_the_marks() -> None:
    result = paired_difference([[1, 1, 0, 1], [1, 0, 0, 1]], [[0, 1, 0, 1]])
    assert result.mean == pytest.approx(5 / 8 - 1 / 2)
    assert result.low < result.mean < result.high
    assert (result.seeds, result.questions) == (1, 4)


def test_equal_arms_do_not_differ() -> None:
    marks = np.random.default_rng(0).integers(0, 2, (3, 50))
    result = paired_difference(marks, marks, paired_seeds=True)
    assert (result.mean, result.low, result.high, result.p) == (0.0, 0.0, 0.0, 1.0)


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


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("paired", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(quick: None, seeds: int, paired: bool) -> None:
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
    assert 0.92 <= held / trials <= 0.99


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


def test_the_interval_of_a_mean_is_students() -> None:
    """Hand case: mean 2, standard deviation 1, three values; t at 97.5% with 2 degrees of freedom is 4.302653."""
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2.0)
    assert (mean - low, high - mean) == pytest.approx((4.302653 / 3**0.5, 4.302653 / 3**0.5), rel=1e-6)
    assert mean_interval([5.0]) == (5.0, 5.0, 5.0)
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])
