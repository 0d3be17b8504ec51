"""What cheaper settings would pick, told from the answers of the full one, against a world whose truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from adg_pipeline.algorithms.cheaper import Splits, overlap, overlap_with_fewer, paper_score, picked, splits
from adg_pipeline.algorithms.divergence import answer_divergence

SHARE = 0.25
SCORE = paper_score(0.4)


def vectors(rows: int, answers: int, seed: int) -> NDArray[np.float64]:
    """(N, K, d): answers scatter about a point of their example, each example as widely as it does."""
    draw = np.random.default_rng(seed)
    width = draw.uniform(0.2, 1.5, (rows, 1, 1))
    return draw.standard_normal((rows, 1, 8)) + width * draw.standard_normal((rows, answers, 8))


def cosines(of: NDArray[np.float64]) -> NDArray[np.float64]:
    return answer_divergence(of).cosines


def blurred(of: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The same answers as a worse embedder has them: each example with an error of its own, the same for all its answers."""
    draw = np.random.default_rng(seed)
    return of + draw.uniform(0.0, 4.0, (len(of), 1, 1)) * draw.standard_normal(of.shape)


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(picked(SCORE(one), SHARE), picked(SCORE(other), SHARE))[0, 1])


def test_answers_are_parted_in_two_in_every_way_once() -> None:
    assert splits(4) == [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    assert len(splits(5)) == 10
    assert all(sorted(first + second) == list(range(12)) and len(first) == 6 for first, second in splits(12))
    with pytest.raises(ValueError, match="at least 4"):
        splits(3)


def test_the_full_setting_agrees_with_itself_by_one() -> None:
    of = cosines(vectors(100, 5, 0))
    held = Splits(of, SCORE, SHARE)
    for same in (held.against(of), held.with_answers(5)):
        assert same is not None
        assert same.value == pytest.approx(1)


def test_it_foretells_what_other_answers_show() -> None:
    """Ten answers: what the first five tell, against picks of five others; means of a few pools, so that chance is small."""
    told: dict[str, list[float]] = {"ceiling": [], "three": [], "blurred": []}
    shown: dict[str, list[float]] = {"ceiling": [], "three": [], "blurred": []}
    for seed in range(12):
        ten = vectors(400, 10, seed)
        worse = blurred(ten, seed)
        held, others = Splits(cosines(ten[:, :5]), SCORE, SHARE), cosines(ten[:, 5:])
        told["ceiling"].append(held.own)
        three, short = held.with_answers(3), held.against(cosines(worse[:, :5]))
        assert three is not None
        assert short is not None
        told["three"].append(held.own * three.value)
        told["blurred"].append(held.own * short.value)
        shown["ceiling"].append(correlation(cosines(ten[:, :5]), others))
        shown["three"].append(correlation(cosines(ten[:, :3]), others))
        shown["blurred"].append(correlation(cosines(worse[:, :5]), others))
    for what, values in told.items():
        assert np.mean(values) == pytest.approx(np.mean(shown[what]), abs=0.06), what
    assert np.mean(shown["blurred"]) < 0.8 * np.mean(shown["ceiling"])  # the blur is no small thing


def test_the_interval_is_wider_for_fewer_examples() -> None:
    of = vectors(600, 5, 3)

    def width(rows: int) -> float:
        found = Splits(cosines(of[:rows]), SCORE, SHARE).against(cosines(blurred(of, 1)[:rows]))
        assert found is not None
        assert found.low < found.value < found.high
        return found.high - found.low

    assert width(60) > 1.5 * width(600)


def test_overlaps_are_of_the_best_share() -> None:
    one = np.array([4.0, 3.0, 2.0, 1.0, 0.0, 0.0])
    assert picked(one, 1 / 3).tolist() == [1, 1, 0, 0, 0, 0]
    assert overlap(one, np.array([0.0, 3.0, 2.0, 1.0, 0.0, 0.0]), 1 / 3) == pytest.approx(1 / 3)
    of = cosines(vectors(50, 4, 1))
    assert overlap_with_fewer(of, SCORE, 4, SHARE) == 1
    assert overlap_with_fewer(of, SCORE, 2, SHARE) < overlap_with_fewer(of, SCORE, 3, SHARE) < 1


def test_picks_that_say_nothing_about_each_other_agree_by_nothing() -> None:
    draw = np.random.default_rng(0)
    of, noise = cosines(vectors(400, 5, 5)), cosines(draw.standard_normal((400, 5, 8)))
    found = Splits(of, SCORE, SHARE).against(noise)
    assert found is not None
    assert found.low < 0 < found.high


def test_where_the_full_setting_picks_by_chance_nothing_is_told_of_others() -> None:
    noise = cosines(np.random.default_rng(1).standard_normal((200, 5, 8)))
    held = Splits(noise, SCORE, 0.1)
    assert held.own < 0.1
    assert held.against(noise) is held.with_answers(3) is None
