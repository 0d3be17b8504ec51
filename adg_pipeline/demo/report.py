"""What the demo found, as two short tables: what was selected, and what a fine-tune on it knows."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from adg_pipeline.demo.evaluate import SkillAccuracy
from adg_pipeline.demo.pool import SHARES
from adg_pipeline.demo.skills import BARELY_KNOWN, KNOWN

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH = 100


@dataclass(frozen=True)
class DemoReport:
    """Counts are by source (``known/reverse``); ``tuned`` holds one accuracy per training seed.

    ``selected`` and ``tuned`` are keyed by the name of the column, such as "ADG", "ADG without bins", "random", in the
    order in which they are shown.
    """

    pool: Mapping[str, int]
    selected: Mapping[str, Mapping[str, int]]
    backbone: SkillAccuracy
    tuned: Mapping[str, Sequence[SkillAccuracy]]


def count_sources(subset: Path) -> dict[str, int]:
    """Examples by source in a subset's Parquet file, which has a column ``source``."""
    import polars

    return count(polars.read_parquet(subset, columns=["source"])["source"].to_list())


def count(sources: Iterable[str]) -> dict[str, int]:
    """Examples by source, in the order of the names."""
    return dict(sorted(Counter(sources).items()))


def render(report: DemoReport) -> str:
    """Both tables as plain text of at most 100 columns."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=_WIDTH, color_system=None, highlight=False)
    seeds = max((len(runs) for runs in report.tuned.values()), default=0)
    console.print(_selection_table(report), _accuracy_table(report))
    console.print(
        f"Exact match on held-out questions; mean ± standard deviation over {seeds} training seeds. "
        "A seed shuffles the training data; only a random subset is also drawn anew."
    )
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _selection_table(report: DemoReport) -> Table:
    from rich.table import Table

    table = Table(title="What was selected", title_justify="left")
    table.add_column("kind")
    for column in ("pool", *report.selected):
        table.add_column(column, justify="right")
    columns = [report.pool, *report.selected.values()]
    for kind in SHARES:
        table.add_section()
        of_kind = [{s: n for s, n in counts.items() if s.startswith(f"{kind}/")} for counts in columns]
        table.add_row(kind, *(_share(sum(c.values()), sum(t.values())) for c, t in zip(of_kind, columns, strict=True)))
        for source in sorted({source for counts in of_kind for source in counts}):
            table.add_row(f"  {source.partition('/')[2]}", *(str(counts.get(source, 0)) for counts in of_kind))
    table.add_section()
    table.add_row("all", *(str(sum(counts.values())) for counts in columns))
    return table


def _accuracy_table(report: DemoReport) -> Table:
    from rich.table import Table

    table = Table(title="What each model knows", title_justify="left")
    table.add_column("skill")
    for column in ("backbone", *(f"tuned on {name}" for name in report.tuned)):
        table.add_column(column, justify="right")
    runs = list(report.tuned.values())
    for kind, skills in (("known", KNOWN), ("barely_known", BARELY_KNOWN)):
        table.add_section()
        means = (_spread([getattr(run, kind) for run in arm]) for arm in runs)
        table.add_row(kind.replace("_", "-"), f"{getattr(report.backbone, kind):.3f}", *means)
        for skill in skills:
            row = (_spread([run.by_skill[skill.name] for run in arm]) for arm in runs)
            table.add_row(f"  {skill.name}", f"{report.backbone.by_skill[skill.name]:.3f}", *row)
    table.add_section()
    overall = (_spread([run.overall for run in arm]) for arm in runs)
    table.add_row("all skills", f"{report.backbone.overall:.3f}", *overall)
    return table


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else "0"


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}" if values else ""
    return f"{mean(values):.3f} ± {stdev(values):.3f}"
