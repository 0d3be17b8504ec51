"""Results tell whether goals are reached, and the page says what the results say."""

import json
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.result import Result
from benchmarks.results import CPU, GPU, keep, read


@pytest.mark.parametrize(
    ("bounds", "met"),
    [
        ({}, True),
        ({"baseline": 5.0, "goal": 2.0}, True),
        ({"baseline": 5.1, "goal": 2.0}, False),
        ({"goal": 2.0}, False),
        ({"limit": 20.0, "share_goal": 0.5}, True),
        ({"limit": 21.0, "share_goal": 0.5}, False),
        ({"at_most": 10.0}, True),
        ({"at_most": 9.9}, False),
        ({"at_least": 10.1}, False),
        ({"baseline": 5.0, "goal": 2.0, "at_most": 9.9}, False),
    ],
)
def test_every_goal_must_be_reached(bounds: dict[str, float], met: bool) -> None:
    result = Result("x", 10.0, "rows/s", **bounds)  # type: ignore[arg-type]
    assert result.met is met
    assert Result.of(json.loads(json.dumps(result.record()))) == result
    assert ("MISSED" in result.line()) is not met


def test_results_of_a_benchmark_replace_those_it_had_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "cpu.json"
    keep(file, "one", [Result("a", 1.0, "s"), Result("b", 2.0, "s")])
    keep(file, "two", [Result("c", 3.0, "s")])
    keep(file, "one", [Result("a", 4.0, "s")])
    kept = read(file)
    assert [(name, [record["figure"] for record in found["results"]]) for name, found in kept.items()] == [
        ("one", [4.0]),
        ("two", [3.0]),
    ]
    assert {"date", "versions", "results"} == set(kept["one"])


def test_the_page_says_what_the_results_say() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text) == text, "docs/speed.md is behind benchmarks/results: python -m benchmarks.page"
    assert all(record["name"] in text for file in (CPU, GPU) for of in read(file).values() for record in of["results"])
