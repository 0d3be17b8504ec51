"""The demo's report as one picture: what was picked, and what that taught."""

from __future__ import annotations

from pathlib import Path

from adg_pipeline.demo.names import POOL, RANDOM
from adg_pipeline.demo.pool import SHARES
from adg_pipeline.demo.report import DemoReport

# Told apart by lightness and hatching, so that they are without colour too.
_KINDS = {"known": "#c6dbef", "barely-known": "#08519c", "open-ended": "#fdd0a2", "noise": "#636363"}
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # behind a label, where a line runs
_HATCHES = {"known": "", "barely-known": "", "open-ended": "//", "noise": "xx"}


def draw(report: DemoReport, path: Path) -> None:
    """Write a PNG: accuracies with their intervals on the left, beside each what its subset consists of."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.6), dpi=150, layout="constrained")
    learnt, picked = figure.subplots(1, 2, sharey=True)
    arms = list(report.tuned)[::-1]
    for place, arm in enumerate(arms):
        mean, low, high = report.barely_known(arm)
        learnt.errorbar(
            mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color="#08519c", capsize=4, markersize=6
        )
        learnt.annotate(
            f"{mean:.0%}", (mean, place), xytext=(0, 8), textcoords="offset points", ha="center", bbox=_PAPER
        )
        counts = report.pool if arm == POOL else report.selected[arm]
        whole, start = sum(counts.values()), 0.0
        for kind in SHARES:
            share = sum(number for source, number in counts.items() if source.startswith(f"{kind}/")) / whole
            picked.barh(
                place, share, left=start, height=0.6, color=_KINDS[kind], hatch=_HATCHES[kind], edgecolor="white",
                label=kind if place == 0 else None,
            )  # fmt: skip
            start += share
    for x, style, name in (
        (report.backbone.barely_known, ":", "untuned"),
        (report.barely_known(RANDOM)[0], "--", RANDOM),
    ):
        learnt.axvline(x, linestyle=style, linewidth=1, color="#636363", zorder=0)
        learnt.annotate(name, (x, len(arms) - 0.45), ha="center", va="bottom", fontsize=8, color="#636363", bbox=_PAPER)
    seeds = len(next(iter(report.tuned.values())))
    learnt.set(xlim=(0, 1), ylim=(-0.6, len(arms) - 0.1), yticks=range(len(arms)), yticklabels=arms)
    learnt.set_title("Barely known skills: right after tuning", fontsize=10, loc="left")
    learnt.set_xlabel(f"exact match on held-out questions; mean and 95% interval, {seeds} seeds", fontsize=8)
    picked.set(xlim=(0, 1))
    picked.set_title("What it was tuned on", fontsize=10, loc="left")
    picked.set_xlabel("share of the examples", fontsize=8)
    for axes in (learnt, picked):
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*picked.get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Software": None})
