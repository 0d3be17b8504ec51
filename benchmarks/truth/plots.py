"""Pictures of what came out. Arms differ by mark and line, not by colour alone."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.truth.page import BUDGETS, HARDER, MAIN
from benchmarks.truth.subsets import IDEAS, ORACLE, RANDOM_CLEAN
from benchmarks.truth.tables import Interval, Where, accuracy, arms_at, difference, places

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_STYLED = {
    ORACLE: ("*", "-", "black"),
    "gain_2": ("<", "-", "#01665e"),
    "adg_grounded": ("o", "-", "#b2182b"),
    "reference_probability": ("s", "--", "#2166ac"),
    "adg_length_control": ("^", "-.", "#e08214"),
    "adg_reach": ("v", ":", "#7b3294"),
    "adg": ("D", "-", "#666666"),
    RANDOM_CLEAN: ("P", ":", "#1b7837"),
    "random": ("x", "--", "#999999"),
}
STYLES = {arm: dict(zip(("marker", "ls", "color"), style, strict=True)) for arm, style in _STYLED.items()}
AXIS = "accuracy on barely known skills"


def draw(results: pl.DataFrame, folder: Path = PICTURES) -> list[Path]:
    """Draw what the results have: differences to random, by noise, by budget, under harder noises."""
    folder.mkdir(parents=True, exist_ok=True)
    done = set(places(results))
    main, budgets, harder = ([where for where in wheres if where in done] for wheres in (MAIN, BUDGETS, HARDER))
    pictures = {
        "noise": (main, lambda: _levels(results, {100 * where[1]: where for where in main}, "noise in the pool, %")),
        "budget": (
            budgets,
            lambda: _levels(results, {100 * where[2]: where for where in budgets}, "budget, % of the pool"),
        ),
        "harder": (harder, lambda: _kinds(results, {f"{where[1]:.0%} {where[0]}": where for where in harder})),
        "differences": (main, lambda: _differences(results, main[min(2, len(main) - 1)])),
    }
    paths = []
    for name, (wheres, picture) in pictures.items():
        if any(arms_at(results, where) for where in wheres):
            paths.append(folder / f"truth-{name}.png")
            picture().savefig(paths[-1], dpi=110, metadata={"Software": None})
    return paths


def _differences(results: pl.DataFrame, where: Where) -> Figure:
    """A forest: each arm's paired difference to random with its interval, the best on top."""
    arms = [arm for arm in arms_at(results, where) if arm not in ("random", *IDEAS)][::-1]
    figure, axes = _figure(7.5, 0.24 * len(arms) + 1.2)
    for place, arm in enumerate(arms):
        found = difference(results, where, arm, "random")
        if found is not None:
            sure = found.low > 0 or found.high < 0
            axes.plot([found.low, found.high], [place, place], color="#444444", lw=1.2)
            axes.plot(found.mean, place, "o", color="black", mfc="black" if sure else "white", ms=5)
    axes.axvline(0, color="#888888", lw=0.8, ls="--")
    axes.set_yticks(range(len(arms)), [f"{arm} ({accuracy(results, where, arm).n})" for arm in arms], fontsize=8)
    axes.set_xlabel(f"{AXIS}, less that of random\n({where[1]:.0%} noise; mean and 95% interval, seeds in brackets)")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _levels(results: pl.DataFrame, wheres: Mapping[float, Where], label: str) -> Figure:
    """A curve for each arm, over places that differ in a number."""
    figure, axes = _figure(7.5, 4.6)
    beside = 0.008 * (max(wheres, default=0.0) - min(wheres, default=0.0))  # so that intervals don't hide each other
    for number, (arm, style) in enumerate(STYLES.items()):
        off = beside * (number - (len(STYLES) - 1) / 2)
        _points(axes, arm, style, {at + off: _had(results, where, arm) for at, where in wheres.items()})
    axes.set(xlabel=label, xticks=list(wheres))
    _finish(figure, axes)
    return figure


def _kinds(results: pl.DataFrame, wheres: Mapping[str, Where]) -> Figure:
    """Points side by side, for places that differ in kind."""
    figure, axes = _figure(7.5, 4.6)
    for number, (arm, style) in enumerate(STYLES.items()):
        beside = 0.08 * (number - (len(STYLES) - 1) / 2)
        found = {place + beside: _had(results, where, arm) for place, where in enumerate(wheres.values())}
        _points(axes, arm, {**style, "ls": ""}, found)
    axes.set_xticks(range(len(wheres)), list(wheres))
    _finish(figure, axes)
    return figure


def _had(results: pl.DataFrame, where: Where, arm: str) -> Interval | None:
    return accuracy(results, where, arm) if arm in arms_at(results, where) else None


def _points(axes: Axes, arm: str, style: Mapping[str, str], found: Mapping[float, Interval | None]) -> None:
    there = {at: interval for at, interval in found.items() if interval is not None}
    if not there:
        return
    means, halves = [interval.mean for interval in there.values()], [interval.half for interval in there.values()]
    axes.errorbar(list(there), means, halves, capsize=3, lw=1.4, ms=6, label=arm, **style)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finish(figure: Figure, axes: Axes) -> None:
    axes.set(ylabel=AXIS, ylim=(0, 1))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
