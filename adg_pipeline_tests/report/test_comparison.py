"""The report of a comparison: what it says, that it needs nothing beside it, and how it looks at a desk and on a phone."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, sync_playwright

from adg_pipeline.algorithms.comparison import FIGURES_SCHEMA
from adg_pipeline.report.comparison import Comparison, markdown_table, page, publish
from adg_pipeline.report.comparison.choice import composition, funnel_rows, overlap
from adg_pipeline.report.comparison.content import Arm, Corner, Cost, Example
from adg_pipeline.report.comparison.standing import curve, forest, scores, verdicts

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = '<script>alert("x")</script> & <img src="https://example.com/x.png"> ' + "long" * 60


def comparison() -> Comparison:
    """Four arms on two benchmarks, two of them the same with another budget; every text of users is hostile."""
    ids = [f"e{number:03d}" for number in range(100)]
    arms = [
        Arm("grounded", "controlled", "grounded", 20, {"aa": ids[:20]}, {"out of reach": 10}, 90, 0.5),
        Arm("grounded-40", "controlled", "grounded", 40, {"bb": ids[:40]}, {"out of reach": 10}, 90, 0.6),
        Arm("worse", HOSTILE, "worse", 20, {"cc": ids[10:30]}, {}, 100),
        Arm("random", "at random", "random", 20, {"dd": ids[::5], "ee": ids[1::5]}, {}, 100),
    ]
    rows = []
    for kind, figure in (("average", "Avg."), ("task", "sums"), ("task", "facts")):
        for arm, mean, difference, p in (
            ("grounded", 0.6, 0.2, 0.001), ("grounded-40", 0.7, 0.3, 0.0001), ("worse", 0.3, -0.1, 0.02),
            ("random", 0.4, None, None),
        ):  # fmt: skip
            around = (None, None) if difference is None else (difference - 0.05, difference + 0.05)
            against = None if difference is None else "random"
            rows.append((kind, figure, arm, against, 3, 40, mean, mean - 0.03, mean + 0.03, difference, *around, p, p))
    pool = pl.DataFrame(
        {
            "example_id": ids,
            "source": [HOSTILE if number < 15 else f"source {number % 20}" for number in range(100)],
            "bin": [number % 10 for number in range(100)],
            "output_chars": list(range(1, 101)),
            "dispersion": [number % 10 / 10 for number in range(100)],
            "anisotropy": [number // 10 / 20 for number in range(100)],
        }
    )
    example = Example("e001", "file.jsonl, record 3", HOSTILE, "", HOSTILE, [HOSTILE, ""], 0.2, 0.3, ["worse"])
    marks = pl.DataFrame(
        {"arm": ["random"] * 3, "seed": [0, 1, 2], "task": "sums", "subtask": "sums", "doc_id": 0, "value": 1.0}
    )
    return Comparison(
        suite="embedded",
        baseline="random",
        backbone="tiny",
        figures=pl.DataFrame(rows, schema=FIGURES_SCHEMA, orient="row"),
        marks=marks,
        arms=arms,
        pool=pool,
        records=104,
        rejected={"no answer": 4},
        corners=[
            Corner(wide, many, 0.25, {arm.name: 0.25 for arm in arms}, [example]) for wide in (0, 1) for many in (0, 1)
        ],
        costs=[Cost("Training", "12 trainings", 120.0, 1000), Cost("Scoring", "100 rows")],
        made_at="2026-11-26 12:00 UTC",
        beside=pl.DataFrame({"figure": ["sums, flexible"], "arm": ["random"], "mean": [0.5]}),
        how={"backend": HOSTILE},
        topics={0: [HOSTILE, "apple"], 1: []},
    )


def with_untuned() -> Comparison:
    """The same, and the backbone as it was before."""
    row = ("average", "Avg.", "untuned backbone", "random", 1, 40, 0.2, 0.1, 0.3, -0.2, -0.3, -0.1, 0.004, 0.004)
    return replace(comparison(), untuned=pl.DataFrame([row], schema=FIGURES_SCHEMA, orient="row"))


def test_verdicts_say_who_is_better_worse_or_neither() -> None:
    said = {row["arm"]: (row["says"], row["difference"], row["p"]) for row in verdicts(comparison())}
    assert said == {
        "grounded-40": ("is better than random", "+30.0", "p < 0.001"),
        "grounded": ("is better than random", "+20.0", "p = 0.001"),
        "worse": ("is worse than random", "−10.0", "p = 0.020"),
    }


def test_the_plot_of_differences_keeps_their_order_and_the_zero_between_them() -> None:
    drawn = forest(comparison())
    places = {row["arm"]: row["at"] for row in drawn["figures"][0]["rows"]}
    assert places["worse"] < drawn["zero"] < places["grounded"] < places["grounded-40"]
    assert all(0 <= tick["at"] <= 100 for tick in drawn["ticks"])


def test_the_untuned_backbone_stands_beside_the_arms_and_is_none_of_them() -> None:
    both = with_untuned()
    assert [row["arm"] for row in verdicts(both)] == [row["arm"] for row in verdicts(comparison())]
    assert scores(both)["rows"][-1]["arm"] == "untuned backbone"
    assert [row["arm"] for row in forest(both)["figures"][0]["rows"]][-1] == "untuned backbone"
    drawn = curve(both)
    assert drawn is not None
    assert drawn["untuned"]["mean"] == "20.0"
    assert max(point["y"] for line in drawn["lines"] for point in line["points"]) < drawn["untuned"]["at"] <= 100
    assert "| Avg. | untuned backbone | 20.0 | 10.0–30.0 | −20.0 |" in markdown_table(both)
    assert "Before any tuning the backbone gets" in page(both)
    absent = replace(comparison(), untuned_missing="it was evaluated on another GPU")
    assert "isn&#39;t known: it was evaluated on another GPU" in page(absent).replace("isn't", "isn&#39;t")


def test_bins_are_named_by_their_words() -> None:
    names = [row["name"] for row in composition(comparison())[-1]["rows"]]
    assert any(name.startswith("0: ") and name.endswith("…") for name in names)
    assert "1" in names


def test_only_arms_of_several_budgets_make_a_curve() -> None:
    both = comparison()
    drawn = curve(both)
    assert drawn is not None
    assert [budget["label"] for budget in drawn["budgets"]] == ["20", "40"]
    assert [len(line["points"]) for line in drawn["lines"]] == [2, 1, 1]
    one = [arm for arm in both.arms if arm.budget == 20]
    assert curve(replace(both, arms=one)) is None


def test_shares_of_each_arm_add_up_and_the_rest_has_a_row() -> None:
    for part in composition(comparison()):
        for column in range(5):
            assert sum(float(row["cells"][column]["share"]) for row in part["rows"]) == pytest.approx(100, abs=0.6)
    assert composition(comparison())[0]["rows"][-1]["name"] == "9 others"


def test_overlap_is_jaccards_and_the_diagonal_is_an_arms_own() -> None:
    rows = {row["arm"]: [cell["text"] for cell in row["cells"]] for row in overlap(comparison())}
    assert rows["grounded"] == ["50.0", "50.0", "33.3", "11.1"]
    assert rows["worse"][2] == "not known"
    assert rows["random"][3] == "0.0"  # from draw to draw


def test_the_funnel_leads_from_records_to_the_subset_without_a_gap() -> None:
    for column in range(4):
        counts = [(row["level"], int(row["cells"][column].replace(",", ""))) for row in funnel_rows(comparison())]
        left = None
        for level, number in counts:
            if level == 0:
                assert left in (None, number)
                left = number
            else:
                assert left is not None
                left -= number


def test_the_table_has_a_row_per_arm_and_figure_and_says_what_a_quick_look_is() -> None:
    table = markdown_table(replace(comparison(), limit=5))
    assert "A quick look: the first 5 questions" in table
    assert "| Avg. | grounded | 60.0 | 57.0–63.0 | +20.0 | +15.0 to +25.0 | p = 0.001 | better |" in table
    assert table.count("\n| ") == 1 + 12 + 1


def test_texts_of_users_are_escaped_and_the_page_needs_nothing_beside_it(tmp_path: Path) -> None:
    publish(comparison(), tmp_path / "report", {"arms": ["random"]})
    html = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', html)
    assert "Published, per cent" in html
    assert pl.read_parquet(tmp_path / "report" / "figures.parquet").height == 12
    assert pl.read_parquet(tmp_path / "report" / "marks.parquet").height == 3


@pytest.mark.parametrize(
    ("seeds", "said"), [(1, "nothing of what another training"), (2, "Two training seeds"), (3, "")]
)
def test_few_seeds_are_said_first(seeds: int, said: str) -> None:
    html = page(replace(comparison(), marks=comparison().marks.head(seeds)))
    assert (said in html) if said else ('class="warn"' not in html)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_a_desk_and_a_phone_and_reads_without_colour_or_pictures(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    publish(with_untuned(), tmp_path / "report", {})
    view = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    faults: list[str] = []
    view.on("console", lambda message: faults.append(message.text))
    view.goto((tmp_path / "report" / "index.html").as_uri())
    assert len(asked) == 1  # the page itself
    assert not faults
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = (
        "[...document.querySelectorAll('svg')].filter(e => !e.closest('[aria-hidden=true]') && !e.ariaLabel).length"
    )
    assert view.evaluate(unnamed) == 0
    # What colour says is also said in words.
    assert view.get_by_text("is worse than random").is_visible()
    assert view.get_by_text("p < 0.001, better").first.is_visible()
    # A table that is wider than the screen is moved by itself, with the keyboard too.
    wide = "[...document.querySelectorAll('table')].every(t => t.closest('.scroll[tabindex]'))"
    assert view.evaluate(wide)
    view.close()
