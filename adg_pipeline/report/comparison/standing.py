"""How the arms stand: verdicts, the forest plot of differences, the table of figures, the curve over budgets."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from adg_pipeline.report.comparison.content import Arm, Comparison
from adg_pipeline.report.comparison.words import between, p_value, percent, points, state

Row = dict[str, Any]


def headline(comparison: Comparison) -> str:
    """The figure that sums all up: the average; where there is none, the only group or task, or the first."""
    return str(comparison.figures["figure"][0])


def verdicts(comparison: Comparison) -> list[Row]:
    """A sentence's parts for each arm but the baseline, the best first."""
    rows = comparison.figures.filter(pl.col("figure") == headline(comparison), pl.col("baseline").is_not_null()).sort(
        "difference", descending=True
    )
    return [
        {
            "arm": row["arm"],
            "state": (said := state(row["difference"], row["p_holm"])),
            "says": {
                "better": f"is better than {row['baseline']}",
                "worse": f"is worse than {row['baseline']}",
                "not told apart": f"can't be told apart from {row['baseline']}",
            }[said],
            "difference": points(row["difference"]),
            "interval": between(row["difference_low"], row["difference_high"], signed=True),
            "p": p_value(row["p_holm"]),
        }
        for row in rows.iter_rows(named=True)
    ]


def untuned(comparison: Comparison) -> Row | None:
    """The headline of the backbone before tuning; None where it isn't known."""
    rows = comparison.untuned.filter(pl.col("figure") == headline(comparison)).rows(named=True)
    if not rows:
        return None
    row = rows[0]
    return {
        "mean": percent(row["mean"]),
        "interval": between(row["low"], row["high"]),
        "baseline": row["baseline"],
        "gain": "–" if row["difference"] is None else points(-row["difference"]),
        "between": ""
        if row["difference_low"] is None
        else between(-row["difference_high"], -row["difference_low"], signed=True),
    }


def forest(comparison: Comparison) -> Row:
    """Differences to the baseline on one scale: figures with a row per arm; ticks; where zero lies. Places in per cent."""
    of_arms = comparison.all_figures.filter(pl.col("baseline").is_not_null())
    ends = [
        abs(end)
        for name in ("difference", "difference_low", "difference_high")
        for end in of_arms[name]
        if end is not None
    ]
    widest = max([0.001, *ends])
    step = _step(widest)
    reach = step * math.ceil(widest / step)

    def place(difference: float) -> float:
        return round(4 + 92 * (difference + reach) / (2 * reach), 2)

    figures = [
        {
            "figure": figure,
            "kind": rows["kind"][0],
            "rows": [
                {
                    "arm": row["arm"],
                    "state": state(row["difference"], row["p_holm"]),
                    "at": place(row["difference"]),
                    "from": None if row["difference_low"] is None else place(row["difference_low"]),
                    "to": None if row["difference_high"] is None else place(row["difference_high"]),
                    "difference": points(row["difference"]),
                    "interval": between(row["difference_low"], row["difference_high"], signed=True),
                    "p": p_value(row["p_holm"]),
                }
                for row in rows.iter_rows(named=True)
            ],
        }
        for (figure,), rows in of_arms.group_by("figure", maintain_order=True)
    ]
    marks = [number * step for number in range(-round(reach / step), round(reach / step) + 1)]
    ticks = [{"at": place(mark), "label": f"{100 * mark:+g}".replace("-", "−") if mark else "0"} for mark in marks]
    return {"figures": figures, "ticks": ticks, "zero": place(0.0)}


def scores(comparison: Comparison) -> Row:
    """The table: figures as columns, arms as rows, each with its interval; figures beside the means last."""
    columns = comparison.figures.select("kind", "figure").unique(maintain_order=True).rows()
    cells = {
        (row["arm"], row["figure"]): {
            "mean": percent(row["mean"]),
            "interval": between(row["low"], row["high"]),
            "state": "baseline" if row["baseline"] is None else state(row["difference"], row["p_holm"]),
        }
        for row in comparison.all_figures.iter_rows(named=True)
    }
    beside = list(dict.fromkeys(comparison.beside["figure"]))
    cells |= {
        (row["arm"], row["figure"]): {"mean": percent(row["mean"]), "interval": "", "state": "beside"}
        for row in comparison.beside.iter_rows(named=True)
    }
    return {
        "columns": [{"kind": kind, "figure": figure} for kind, figure in columns]
        + [{"kind": "beside", "figure": figure} for figure in beside],
        "rows": [
            {
                "arm": name,
                "cells": [cells.get((name, figure)) for figure in [*(name for _, name in columns), *beside]],
            }
            for name in [arm.name for arm in comparison.arms] + comparison.untuned["arm"].unique().to_list()
        ],
    }


def curve(comparison: Comparison) -> Row | None:
    """The headline over budgets, a line per family of arms; None where no family has two. Places in per cent."""
    families: dict[str, list[Arm]] = {}
    for arm in comparison.arms:
        families.setdefault(arm.family, []).append(arm)
    if all(len(arms) < 2 for arms in families.values()):
        return None
    found = {row["arm"]: row for row in comparison.figures.filter(figure=headline(comparison)).iter_rows(named=True)}
    budgets = sorted({arm.budget for arm in comparison.arms})
    bounds = [row[name] for row in found.values() for name in ("mean", "low", "high") if row[name] is not None]
    before = comparison.untuned.filter(figure=headline(comparison))["mean"].to_list()
    bounds += before
    step = _step(max(max(bounds) - min(bounds), 0.001))
    low, high = step * math.floor(min(bounds) / step), step * math.ceil(max(bounds) / step)
    widest = math.log(budgets[-1] / budgets[0])

    def across(budget: int) -> float:
        return round(12 + 74 * math.log(budget / budgets[0]) / widest, 2)

    def up(value: float) -> float:
        return round(92 - 84 * (value - low) / ((high - low) or 1.0), 2)

    lines = [
        {
            "family": family,
            "points": [
                {
                    # Side by side, so that intervals of one budget don't cover each other.
                    "x": round(across(arm.budget) + 1.2 * (number - (len(families) - 1) / 2), 2),
                    "y": up(found[arm.name]["mean"]),
                    "low": None if found[arm.name]["low"] is None else up(max(low, found[arm.name]["low"])),
                    "high": None if found[arm.name]["high"] is None else up(found[arm.name]["high"]),
                }
                for arm in sorted(arms, key=lambda one: one.budget)
            ],
        }
        for number, (family, arms) in enumerate(families.items())
    ]
    levels = [low + number * step for number in range(round((high - low) / step) + 1)]
    return {
        "figure": headline(comparison),
        "lines": lines,
        "budgets": [{"at": across(budget), "label": f"{budget:,}"} for budget in budgets],
        "untuned": {"at": up(before[0]), "mean": percent(before[0])} if before else None,
        "levels": [{"at": up(level), "label": f"{100 * level:g}"} for level in levels],
        "rows": list(_by_budget(families, found, budgets)),
    }


def _by_budget(families: dict[str, list[Arm]], found: dict[str, Row], budgets: Sequence[int]) -> Iterator[Row]:
    for family, arms in families.items():
        by_budget = {arm.budget: found[arm.name] for arm in arms}
        yield {
            "family": family,
            "cells": [
                None
                if (row := by_budget.get(budget)) is None
                else {"mean": percent(row["mean"]), "interval": between(row["low"], row["high"])}
                for budget in budgets
            ],
        }


def _step(reach: float) -> float:
    """A round distance of ticks, of which at most three go into the reach."""
    size = 10.0 ** math.floor(math.log10(reach))
    return next(part * size for part in (0.5, 1.0, 2.0, 5.0) if reach / (part * size) <= 3)
