"""What people read in the UI: numbers as they'd write them, texts before ids, nothing that is empty."""

from typing import Any

import dagster as dg
import polars as pl
import pytest

from adg_pipeline.report.tables import number, sample_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.72849999, 0.7285),
        (12.345678, 12.35),
        (0.000012345, 1.234e-05),
        (12345.678, 12346),
        (7, 7),
        (True, True),
        ("a", "a"),
    ],
)
def test_numbers_have_the_digits_that_people_write(value: Any, shown: Any) -> None:
    assert number(value) == shown
    assert type(number(value)) is type(shown)


def rows(value: dg.MetadataValue) -> list[dict[str, Any]]:
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_a_sample_has_short_texts_answers_side_by_side_and_no_empty_column() -> None:
    frame = pl.DataFrame(
        {
            "instruction": ["Name\n  a colour.", "word " * 100],
            "answers": [["red", "blue", "green", "grey"], ["a", "", ""]],
            "input": ["", ""],
            "reason": [None, None],
            "score": [0.72849999, 0.1],
        },
        schema_overrides={"reason": pl.String},
    )
    first, second = rows(sample_table(frame))
    assert first == {
        "instruction": "Name a colour.", "answer 1": "red", "answer 2": "blue", "answer 3": "green", "score": 0.7285,
    }  # fmt: skip
    assert second["instruction"].endswith("…")
    assert len(second["instruction"]) == 160
    assert list(second) == list(first)


def test_no_rows_are_said() -> None:
    assert sample_table(pl.DataFrame({"a": []})).value == "no rows"
