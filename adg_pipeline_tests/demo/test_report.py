from pathlib import Path

import polars

from adg_pipeline.demo.evaluate import SkillAccuracy
from adg_pipeline.demo.names import ADG, GROUNDED, ORACLE, POOL, RANDOM
from adg_pipeline.demo.picture import draw
from adg_pipeline.demo.report import DemoReport, count_sources, meaning, render
from adg_pipeline.demo.skills import ALL_SKILLS, KNOWN

QUESTIONS = 20  # of every skill


def accuracy(known: float, barely_known: float) -> SkillAccuracy:
    by_skill = {skill.name: known if skill in KNOWN else barely_known for skill in ALL_SKILLS}
    marks = [place < share * QUESTIONS for share in by_skill.values() for place in range(QUESTIONS)]
    return SkillAccuracy(by_skill, tuple(marks))


REPORT = DemoReport(
    pool={"known/reverse": 60, "barely-known/mirror": 20, "open-ended/story": 10, "noise/garbled": 10},
    selected={
        RANDOM: {"known/reverse": 20},
        ADG: {"open-ended/story": 15, "noise/garbled": 5},
        GROUNDED: {"barely-known/mirror": 20},
        ORACLE: {"barely-known/mirror": 20},
    },
    backbone=accuracy(0.9, 0.1),
    tuned={
        POOL: [accuracy(0.9, 0.6), accuracy(0.9, 0.8)],
        RANDOM: [accuracy(0.95, 0.4), accuracy(0.95, 0.4)],
        ADG: [accuracy(0.95, 0.3), accuracy(0.95, 0.5)],
        GROUNDED: [accuracy(0.95, 0.7), accuracy(0.95, 0.8)],
        ORACLE: [accuracy(0.95, 0.9), accuracy(0.95, 0.9)],
    },
    skills=[skill.name for skill in ALL_SKILLS for _ in range(QUESTIONS)],
)


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.strip("│ ").startswith(f"{name} ")]
    return [cell.strip() for cell in line.strip("│").split("│")][1:]


def test_selection_table_shows_counts_and_shares_of_each_kind() -> None:
    text, _ = render(REPORT).split("What each model knows")
    assert row(text, "barely-known") == ["20 (20%)", "0 (0%)", "0 (0%)", "20 (100%)", "20 (100%)"]
    assert row(text, "mirror") == ["20", "0", "0", "20", "20"]
    assert row(text, "all") == ["100", "20", "20", "20", "20"]


def test_accuracy_table_shows_mean_and_interval_over_seeds() -> None:
    _, text = render(REPORT).split("What each model knows")
    # Student's t for one degree of freedom is 12.706, the standard error of 60 and 80 is 10.
    assert row(text, "barely-known")[:3] == ["10", "70 ± 127", "40 ± 0"]
    assert row(text, "all skills")[:3] == ["50", "80 ± 64", "68 ± 0"]
    assert "2 training seeds" in text


def test_a_gain_is_said_with_its_interval_and_its_share_of_the_oracles() -> None:
    grounded, _ = meaning(REPORT)
    assert "75% is right after tuning on adg_grounded, 40% on random: +35 points (95% interval +" in grounded
    assert "70% of what the oracle gains" in grounded
    assert "no difference" not in grounded


def test_no_gain_is_said_to_be_none() -> None:
    _, adg = meaning(REPORT)
    assert "(adg) gets 40%, +0 points (95% interval -" in adg
    assert "no difference is shown" in adg
    assert "20 of its 20 picks are open-ended or noise" in adg


def test_report_fits_a_terminal() -> None:
    assert max(len(line) for line in render(REPORT).splitlines()) <= 100


def test_a_picture_of_it_is_written(tmp_path: Path) -> None:
    draw(REPORT, tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_sources_are_counted_from_a_subset_file(tmp_path: Path) -> None:
    path = tmp_path / "subset.parquet"
    polars.DataFrame(
        {"example_id": ["a", "b", "c"], "source": ["known/copy", "noise/garbled", "known/copy"]}
    ).write_parquet(path)
    assert count_sources(path) == {"known/copy": 2, "noise/garbled": 1}
