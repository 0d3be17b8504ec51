"""Filters of the selection: who is left out, and for which reason."""

import polars as pl

from adg_pipeline.algorithms.filters import REASONS, filter_reasons
from adg_pipeline.settings.sections import SelectionConfig

GOOD = {"dispersion": 0.2, "anisotropy": 0.5, "empty_answers": 0, "distinct_answers": 5, "output_chars": 100}


def reasons(*rows: dict[str, object], **thresholds: int) -> list[str | None]:
    frame = pl.DataFrame([GOOD | row for row in rows], schema_overrides={"dispersion": pl.Float64})
    return filter_reasons(frame, SelectionConfig(**thresholds)).to_list()  # type: ignore[arg-type]


def test_a_good_example_stays() -> None:
    assert reasons({}) == [None]


def test_examples_without_a_score_are_left_out() -> None:
    unscored = [{"dispersion": None}, {"dispersion": float("nan")}, {"anisotropy": float("nan")}]
    assert reasons(*unscored) == ["unscored"] * 3


def test_answers_that_are_empty_or_too_alike_are_left_out() -> None:
    rows = [{"empty_answers": 1}, {"empty_answers": 2}, {"distinct_answers": 2}, {"distinct_answers": 3}]
    found = reasons(*rows, max_empty_answers=1, min_distinct_answers=3)
    assert found == [None, "empty_answers", "few_distinct_answers", None]


def test_outputs_must_have_the_length_asked_for() -> None:
    rows = [{"output_chars": chars} for chars in (0, 9, 10, 20, 21)]
    found = reasons(*rows, min_output_chars=10, max_output_chars=20)
    assert found == ["output_too_short", "output_too_short", None, None, "output_too_long"]
    assert reasons({"output_chars": 10**6}) == [None]


def test_the_first_reason_counts_and_each_has_a_description() -> None:
    found = reasons({"dispersion": None, "empty_answers": 5, "output_chars": 0})
    assert found == ["unscored"]
    assert set(found) <= set(REASONS)


def test_no_examples_give_no_reasons() -> None:
    frame = pl.DataFrame([GOOD]).clear()
    assert filter_reasons(frame, SelectionConfig()).to_list() == []
