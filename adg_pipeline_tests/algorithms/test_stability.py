"""How stable a subset is, by leaving out one answer after the other."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from adg_pipeline.algorithms.budgets import parts_of
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.algorithms.selectors.base import lists
from adg_pipeline.algorithms.stability import Stability, jackknife
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline_tests.algorithms.selectors.pools import candidates


def stability(pool: Candidates, **settings: object) -> dict[str, object]:
    config = SelectionConfig.model_validate({"bins": "none", **settings})
    places = SELECTORS[config.selector].choose(pool, config)
    return jackknife(
        pool, config, places, parts_of(pool, config), lambda rows: lists(pool.frame, "cosines")[rows]
    ).summary


def camps(*answers: list[int]) -> Candidates:
    """Examples whose answers are equal within a camp and orthogonal between camps."""
    grams = [np.equal.outer(camp, camp).astype(float).ravel().tolist() for camp in answers]
    spread = [1 - np.mean(gram) for gram in grams]
    names = [f"ex-{row}" for row in range(len(answers))]
    frame = pl.DataFrame({"example_id": names, "bin": [0] * len(answers), "cosines": grams, "dispersion": spread})
    return Candidates(frame.with_columns(anisotropy=pl.lit(0.5)))


def test_a_subset_that_hangs_on_one_answer_overlaps_where_that_stays() -> None:
    # The third, of two even camps, is taken. Without one of the first three answers the first is as good, and has the lower
    # id; without the fourth it has one camp.
    found = stability(camps([0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 1]), budget=1, weight=0.0)
    assert found == {"jackknife_jaccard": [0.0, 0.0, 0.0, 1.0], "mean": 0.25, "examples": 3, "of": 3}
    found = stability(camps([0, 1, 2, 2], [0, 0, 1, 2], [0, 0, 0, 0]), budget=1, weight=0.0)
    # Equal with all four; without the first or the second answer the one falls behind.
    assert found["jackknife_jaccard"] == [0.0, 0.0, 1.0, 1.0]


def test_of_a_larger_pool_a_draw_is_told_whatever_the_order_of_what_is_read() -> None:
    pool = candidates(90)
    whole, part = stability(pool, budget=20), stability(pool, budget=20, stability_examples=45)
    assert (whole["examples"], whole["of"]) == (90, 90)
    assert (part["examples"], part["of"]) == (45, 90)
    assert len(part["jackknife_jaccard"]) == 5  # type: ignore[arg-type]
    assert part == stability(pool, budget=20, stability_examples=45)


def test_it_tells_of_each_example_how_often_it_stays() -> None:
    pool, config = camps([0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 1]), SelectionConfig(budget=1, weight=0.0, bins="none")
    places = SELECTORS["adg"].choose(pool, config)
    found = jackknife(pool, config, places, parts_of(pool, config), lambda rows: lists(pool.frame, "cosines")[rows])
    assert found.kept is not None
    assert found.kept.tolist() == [3, 0, 1]  # one of the three is taken each of the four times


@pytest.mark.parametrize("settings", [{"stability_examples": 0}, {"first_answers": 3}, {"selector": "random"}])
def test_where_it_is_not_asked_for_or_says_nothing_there_is_none(settings: dict[str, object]) -> None:
    assert stability(candidates(30), budget=5, **settings) == {}


def test_scores_of_before_cosines_were_kept_have_none() -> None:
    pool = candidates(10)
    config = SelectionConfig(budget=3)
    places = SELECTORS["adg"].choose(pool, config)
    assert (
        jackknife(pool, config, places, parts_of(pool, config), lambda rows: np.full((len(rows), 1), np.nan))
        == Stability()
    )
    assert (
        jackknife(replace(pool, frame=pool.frame[:0]), config, places[:0], [], lambda rows: np.zeros((0, 0)))
        == Stability()
    )
