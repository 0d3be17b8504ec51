"""Writes a comparison: one HTML page that needs nothing beside it, a Markdown table, and the data as Parquet."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adg_pipeline.host.files import publish_directory
from adg_pipeline.report.comparison import choice, published, standing, words
from adg_pipeline.report.comparison.content import UNTUNED, Comparison
from adg_pipeline.store.selections import write_frame, write_manifest

if TYPE_CHECKING:
    from jinja2 import Template

PAGE, TABLE, FIGURES, MARKS = "index.html", "comparison.md", "figures.parquet", "marks.parquet"


def publish(comparison: Comparison, directory: Path, manifest: Mapping[str, Any]) -> None:
    """Put the page, the table and the data in the directory, all of them or none. manifest: what it was made from."""

    def fill(folder: Path) -> None:
        (folder / PAGE).write_text(page(comparison), encoding="utf-8")
        (folder / TABLE).write_text(markdown_table(comparison), encoding="utf-8")
        write_frame(comparison.all_figures, folder / FIGURES)
        write_frame(comparison.marks, folder / MARKS)
        write_manifest(folder, dict(manifest))

    publish_directory(directory, fill)


def page(comparison: Comparison) -> str:
    """The HTML page. All that users wrote is escaped."""
    return _template().render(
        comparison=comparison,
        title=f"{', '.join(arm.name for arm in comparison.arms)} on {comparison.suite}",
        headline=standing.headline(comparison),
        verdicts=standing.verdicts(comparison),
        untuned=standing.untuned(comparison),
        forest=standing.forest(comparison),
        scores=standing.scores(comparison),
        curve=standing.curve(comparison),
        composition=choice.composition(comparison),
        overlap=choice.overlap(comparison),
        chance=words.percent(choice.chance_overlap(comparison)),
        quadrants=choice.quadrants(comparison),
        funnel=choice.funnel_rows(comparison),
        published=published,
        words=words,
        files={"table": TABLE, "figures": FIGURES, "marks": MARKS},
    )


def markdown_table(comparison: Comparison) -> str:
    """A row per arm and figure, with what must stand beside a quick look."""
    quick = f" **A quick look: the first {comparison.limit} questions of each task.**" if comparison.limit else ""
    seeds = len(comparison.seeds)
    lines = [
        f"Suite {comparison.suite}, backbone {comparison.backbone}, {words.count(seeds, 'training seed')}. "
        f"Figures in per cent, differences in points, {comparison.level:.0%} intervals over questions and seeds; p after "
        f"Holm over the arms.{quick}",
        "",
        f"| | arm | mean | interval | less {comparison.baseline} | interval | p | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in comparison.all_figures.iter_rows(named=True):
        cells = [row["figure"], row["arm"], words.percent(row["mean"]), words.between(row["low"], row["high"])]
        if row["baseline"] is None:
            cells += ["", "", "", "" if row["arm"] == UNTUNED else "baseline"]
        else:
            cells += [
                words.points(row["difference"]),
                words.between(row["difference_low"], row["difference_high"], signed=True),
                words.p_value(row["p_holm"]),
                words.state(row["difference"], row["p_holm"]),
            ]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    lines += [
        f"| {row['figure']} (beside) | {row['arm']} | {words.percent(row['mean'])} | | | | | |"
        for row in comparison.beside.iter_rows(named=True)
    ]
    return "\n".join(lines) + "\n"


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    folder = files("adg_pipeline.report.comparison")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["style"] = (folder / "page.css").read_text("utf-8")
    return environment.from_string((folder / "page.html.j2").read_text("utf-8"))
