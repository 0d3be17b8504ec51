"""Figures of samples."""

from typing import Any

import polars as pl
import pytest

from adg_pipeline.resources.evaluator.suite import Suite
from adg_pipeline.resources.evaluator.summary import SAMPLES_SCHEMA, summarise

SUITE = Suite.model_validate(
    {
        "name": "mine",
        "tasks": [{"task": "sums", "metric": "acc", "filter": "strict"}, {"task": "words", "metric": "acc"}],
        "groups": {"All": ["sums", "words"]},
    }
)


def samples(**values: list[float]) -> pl.DataFrame:
    """Rows of tasks, named `task__filter`."""
    rows: list[dict[str, Any]] = []
    for name, of in values.items():
        task, _, filtered = name.partition("__")
        for place, value in enumerate(of):
            rows.append({**dict.fromkeys(SAMPLES_SCHEMA, ""), "doc_id": place, "task": task, "filter": filtered or "none",
                         "metric": "acc", "value": value})  # fmt: skip
    return pl.DataFrame(rows, schema=SAMPLES_SCHEMA)


def test_a_group_is_the_plain_mean_of_its_tasks_headlines() -> None:
    of = samples(sums__strict=[1, 0, 0, 0], sums__flexible=[1, 1, 1, 0], words=[1.0, 0.5])
    found = summarise(of, SUITE, {"sums": 100, "words": 2})
    figures = {(row["name"], row["filter"]): row["value"] for row in found.iter_rows(named=True)}
    assert figures == {
        ("sums", "flexible"): 0.75,
        ("sums", "strict"): 0.25,
        ("words", "none"): 0.75,
        ("All", None): 0.5,
        ("Avg.", None): 0.5,
    }
    asked = found.filter(pl.col("name") == "Avg.").row(0, named=True)
    assert (asked["questions"], asked["of"]) == (6, 102)


def test_a_headline_that_the_task_does_not_have_is_told_with_those_it_has() -> None:
    with pytest.raises(ValueError, match=r"sums gives no acc with filter strict; it gives acc \(loose\)"):
        summarise(samples(sums__loose=[1.0], words=[1.0]), SUITE, {"sums": 1, "words": 1})
