"""Arms compared on the same questions: means, differences, and who lacks which question."""

import numpy as np
import polars as pl
import pytest

from adg_pipeline.algorithms import statistics
from adg_pipeline.algorithms.comparison import Figures, UnequalQuestions, compare_arms
from adg_pipeline.algorithms.statistics import paired_difference

AGAINST = {"adg": "random", "random": None}
SUITE = Figures(["sums", "facts"], {"All": ["sums", "facts"]}, "Avg.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 500)


def marks(ahead: dict[str, float], seeds: int = 2) -> pl.DataFrame:
    """Of each arm and seed: 40 sums, and 3 subtasks of 10 facts, right the more often the further ahead an arm is."""
    draw = np.random.default_rng(0)
    asked = [("sums", "sums", doc) for doc in range(40)]
    asked += [("facts", f"facts-{sub}", doc) for sub in range(3) for doc in range(10)]
    rows = [
        (arm, seed, *question, float(draw.random() < 0.3 + by))
        for arm, by in ahead.items()
        for seed in range(seeds)
        for question in asked
    ]
    return pl.DataFrame(rows, schema=["arm", "seed", "task", "subtask", "doc_id", "value"], orient="row")


def test_each_figure_has_a_row_for_each_arm_the_average_first() -> None:
    table = compare_arms(marks({"adg": 0.5, "random": 0.0}), SUITE, AGAINST)
    assert table.select("figure", "arm").rows() == [
        (figure, arm) for figure in ("Avg.", "All", "sums", "facts") for arm in ("adg", "random")
    ]


def test_the_average_gives_each_task_the_same_weight_and_each_row_is_the_paired_difference() -> None:
    given = marks({"adg": 0.5, "random": 0.0})
    table = compare_arms(given, SUITE, AGAINST)
    by_task = given.group_by("arm", "task").agg(pl.col("value").mean())
    for arm in ("adg", "random"):
        average = table.filter(pl.col("figure") == "Avg.", pl.col("arm") == arm)["mean"].item()
        assert average == pytest.approx(by_task.filter(pl.col("arm") == arm)["value"].mean())
    sums = given.filter(pl.col("task") == "sums").sort("doc_id")
    arrays = [
        sums.filter(pl.col("arm") == arm).sort("seed", "doc_id")["value"].to_numpy().reshape(2, 40)
        for arm in ("adg", "random")
    ]
    expected = paired_difference(*arrays)
    row = table.row(by_predicate=(pl.col("figure") == "sums") & (pl.col("arm") == "adg"), named=True)
    assert row["difference"] == pytest.approx(expected.mean)
    assert row["difference_low"] == pytest.approx(expected.low, abs=0.1)


def test_many_subtasks_are_drawn_whole_and_a_few_are_taken_for_all_there_are() -> None:
    draw = np.random.default_rng(0)
    widths = {}
    for subtasks in (8, 24):
        # Of a subtask all questions are right or none.
        right = draw.random(subtasks) < 0.6
        rows = [
            (arm, seed, "facts", f"facts-{sub}", doc, float(right[sub] and arm == "adg"))
            for arm in ("adg", "random")
            for seed in range(2)
            for sub in range(subtasks)
            for doc in range(240 // subtasks)
        ]
        schema = ["arm", "seed", "task", "subtask", "doc_id", "value"]
        table = compare_arms(pl.DataFrame(rows, schema=schema, orient="row"), Figures(["facts"]), AGAINST)
        row = table.row(by_predicate=pl.col("arm") == "adg", named=True)
        widths[subtasks] = row["difference_high"] - row["difference_low"]
    assert widths[24] > 2 * widths[8]


def test_p_is_adjusted_over_the_arms_of_a_figure() -> None:
    table = compare_arms(marks({"adg": 0.3, "ifd": 0.05, "random": 0.0}), SUITE, {"ifd": "random", **AGAINST})
    for (_,), rows in table.filter(pl.col("p").is_not_null()).group_by("figure"):
        smallest = rows.sort("p").row(0, named=True)
        assert smallest["p_holm"] == pytest.approx(min(1.0, 2 * smallest["p"]))
    assert table.filter(arm="random")["p_holm"].null_count() == 4


def test_results_of_other_questions_are_refused_by_name() -> None:
    given = marks({"adg": 0.5, "random": 0.0})
    lacking = given.filter(~((pl.col("arm") == "adg") & (pl.col("seed") == 1) & (pl.col("doc_id") == 7)))
    with pytest.raises(UnequalQuestions, match="arm adg, seed 1: 4 questions, such as"):
        compare_arms(lacking, SUITE, AGAINST)


def test_a_single_question_has_a_mean_and_no_interval() -> None:
    one = marks({"adg": 0.5, "random": 0.0}).filter(task="sums", doc_id=0)
    table = compare_arms(one, Figures(["sums"]), AGAINST)
    assert table["mean"].null_count() == 0
    assert table["low"].null_count() == table.height


def test_without_the_baseline_there_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="no results of random"):
        compare_arms(marks({"adg": 0.5}), SUITE, AGAINST)
