"""What the demo found: what was selected, what a fine-tune on it knows, and two sentences on what that means."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adg_pipeline.algorithms.statistics import Difference, mean_interval, paired_difference
from adg_pipeline.demo.evaluate import SkillAccuracy
from adg_pipeline.demo.names import ADG, GROUNDED, ORACLE, RANDOM
from adg_pipeline.demo.pool import SHARES
from adg_pipeline.demo.skills import BARELY_KNOWN, KNOWN

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH = 100


@dataclass(frozen=True)
class DemoReport:
    """Counts are by source (``known/reverse``); ``tuned`` holds one accuracy per training seed.

    ``selected`` and ``tuned`` are keyed by the name of the column (`ADG`, `GROUNDED` …), in the order in which they are
    shown. skills: of every question, in the order of `SkillAccuracy.marks`.
    """

    pool: Mapping[str, int]
    selected: Mapping[str, Mapping[str, int]]
    backbone: SkillAccuracy
    tuned: Mapping[str, Sequence[SkillAccuracy]]
    skills: Sequence[str]

    def barely_known(self, arm: str) -> tuple[float, float, float]:
        """Mean accuracy on the barely known skills, and its 95% interval over training seeds."""
        return mean_interval([run.barely_known for run in self.tuned[arm]])

    def over_random(self, arm: str) -> Difference:
        """What an arm gains over the random one on the barely known skills, over questions and seeds."""
        asked = np.isin(self.skills, [skill.name for skill in BARELY_KNOWN])
        its, at_random = (np.array([run.marks for run in self.tuned[name]])[:, asked] for name in (arm, RANDOM))
        return paired_difference(its, at_random)


def count_sources(subset: Path) -> dict[str, int]:
    """Examples by source in a subset's Parquet file, which has a column ``source``."""
    import polars

    return count(polars.read_parquet(subset, columns=["source"])["source"].to_list())


def count(sources: Iterable[str]) -> dict[str, int]:
    """Examples by source, in the order of the names."""
    return dict(sorted(Counter(sources).items()))


def render(report: DemoReport) -> str:
    """Both tables and what they mean, as plain text of at most 100 columns."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=_WIDTH, color_system=None, highlight=False)
    seeds = max((len(runs) for runs in report.tuned.values()), default=0)
    console.print(_selection_table(report), _accuracy_table(report))
    console.print(
        f"Mean of {seeds} training seeds ± half its 95% interval, all trained for as many updates. A seed also draws the "
        f"subset of {RANDOM}, and that of {ORACLE}, which knows which examples can teach something.\n"
    )
    for sentence in meaning(report):
        console.print(sentence)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def meaning(report: DemoReport) -> tuple[str, str]:
    """Two sentences on what the figures say."""
    grounded, adg, best = report.over_random(GROUNDED), report.over_random(ADG), report.over_random(ORACLE)
    at_random = report.barely_known(RANDOM)[0]
    of_oracle = f", {grounded.mean / best.mean:.0%} of what the oracle gains" if min(grounded.low, best.low) > 0 else ""
    picked = report.selected[ADG]
    astray = sum(number for source, number in picked.items() if source.startswith(("open-ended/", "noise/")))
    return (
        f"Of what the backbone barely knows, {report.barely_known(GROUNDED)[0]:.0%} is right after tuning on "
        f"{GROUNDED}, {at_random:.0%} on {RANDOM}: {_gain(grounded)}{of_oracle}.",
        f"The paper's score by itself ({ADG}) gets {report.barely_known(ADG)[0]:.0%}, {_gain(adg)}: {astray} of its "
        f"{sum(picked.values())} picks are open-ended or noise, to which any backbone's answers diverge.",
    )


def _gain(difference: Difference) -> str:
    low, mean, high = (f"{100 * value:+.0f}" for value in (difference.low, difference.mean, difference.high))
    shown = "" if difference.low > 0 or difference.high < 0 else ", so no difference is shown"
    return f"{mean} points (95% interval {low} to {high}{shown})"


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

    table = Table(title="What each model knows: % of held-out questions answered exactly", title_justify="left")
    table.add_column("skill")
    for column in ("backbone", *report.tuned):
        table.add_column(column, justify="right")
    runs = list(report.tuned.values())
    for kind, skills in (("known", KNOWN), ("barely_known", BARELY_KNOWN)):
        table.add_section()
        means = (_spread([getattr(run, kind) for run in arm]) for arm in runs)
        table.add_row(kind.replace("_", "-"), f"{100 * getattr(report.backbone, kind):.0f}", *means)
        for skill in skills:
            row = (_spread([run.by_skill[skill.name] for run in arm]) for arm in runs)
            table.add_row(f"  {skill.name}", f"{100 * report.backbone.by_skill[skill.name]:.0f}", *row)
    table.add_section()
    overall = (_spread([run.overall for run in arm]) for arm in runs)
    table.add_row("all skills", f"{100 * report.backbone.overall:.0f}", *overall)
    return table


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else "0"


def _spread(values: Sequence[float]) -> str:
    mean, low, high = mean_interval(values)
    return f"{100 * mean:.0f}" if len(values) < 2 else f"{100 * mean:.0f} ± {50 * (high - low):.0f}"
