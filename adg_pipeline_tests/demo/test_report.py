from pathlib import Path

import polars

from adg_pipeline.demo.evaluate import SkillAccuracy
from adg_pipeline.demo.report import DemoReport, count_sources, render
from adg_pipeline.demo.skills import ALL_SKILLS, KNOWN


def accuracy(known: float, barely_known: float) -> SkillAccuracy:
    return SkillAccuracy({skill.name: known if skill in KNOWN else barely_known for skill in ALL_SKILLS})


REPORT = DemoReport(
    pool={"known/reverse": 60, "barely-known/mirror": 20, "open-ended/story": 10, "noise/garbled": 10},
    selected={"ADG": {"barely-known/mirror": 15, "noise/garbled": 5}, "random": {"known/reverse": 20}},
    backbone=accuracy(0.9, 0.1),
    tuned={"ADG": [accuracy(0.9, 0.6), accuracy(0.9, 0.8)], "random": [accuracy(0.95, 0.4), accuracy(0.95, 0.4)]},
)


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.strip("│ ").startswith(f"{name} ")]
    return [cell.strip() for cell in line.strip("│").split("│")][1:]


def test_selection_table_shows_counts_and_shares_of_each_kind() -> None:
    text, _ = render(REPORT).split("What each model knows")
    assert row(text, "barely-known") == ["20 (20%)", "15 (75%)", "0 (0%)"]
    assert row(text, "mirror") == ["20", "15", "0"]
    assert row(text, "all") == ["100", "20", "20"]


def test_accuracy_table_shows_mean_and_spread_over_seeds() -> None:
    _, text = render(REPORT).split("What each model knows")
    assert row(text, "barely-known") == ["0.100", "0.700 ± 0.141", "0.400 ± 0.000"]
    assert row(text, "all skills") == ["0.500", "0.800 ± 0.071", "0.675 ± 0.000"]
    assert "2 training seeds" in text


def test_report_fits_a_terminal() -> None:
    assert max(len(line) for line in render(REPORT).splitlines()) <= 100


def test_sources_are_counted_from_a_subset_file(tmp_path: Path) -> None:
    path = tmp_path / "subset.parquet"
    polars.DataFrame(
        {"example_id": ["a", "b", "c"], "source": ["known/copy", "noise/garbled", "known/copy"]}
    ).write_parquet(path)
    assert count_sources(path) == {"known/copy": 2, "noise/garbled": 1}
