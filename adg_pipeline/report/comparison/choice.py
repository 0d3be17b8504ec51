"""What each arm chose: its make-up beside the pool's, overlap with the others, its place in D and I, what it left out."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from adg_pipeline.algorithms.funnel import funnel
from adg_pipeline.report.comparison.content import Arm, Comparison
from adg_pipeline.report.comparison.words import percent, shortened

Row = dict[str, Any]
SOURCES, BINS, POINTS, CHOSEN_POINTS = 12, 10, 700, 300
LENGTHS = 5
NAME = 60  # characters of a source that are shown


def composition(comparison: Comparison) -> list[Row]:
    """Tables of shares by source, length and bin, the pool's first."""
    pool = comparison.pool.with_columns(_lengths(comparison.pool), _topics(comparison))
    return [
        {"by": "Source", "rows": _shares(comparison, pool, "source", SOURCES)},
        {"by": "Length of the reference, in characters", "rows": _shares(comparison, pool, "length", None)},
        {"by": "Topic (bin, and its telling words)", "rows": _shares(comparison, pool, "bin", BINS)},
    ]


def _topics(comparison: Comparison) -> pl.Series:
    """Bins as people read them: ``12: recipe, apple, cake``."""
    named = {
        number: f"{number}: {', '.join(words)}" if (words := comparison.topics.get(number)) else str(number)
        for number in comparison.pool["bin"].unique()
        if number is not None
    }
    return comparison.pool["bin"].replace_strict(named, default=None, return_dtype=pl.String)


def _lengths(pool: pl.DataFrame) -> pl.Series:
    """Fifths of the pool by length, named by what they span."""
    chars = pool["output_chars"]
    edges = sorted({int(chars.quantile(part / LENGTHS, "nearest") or 0) for part in range(1, LENGTHS)})
    below = [None, *edges]
    above = [*edges, None]
    names = [
        f"over {low:,}" if high is None else f"up to {high:,}" if low is None else f"{low + 1:,} to {high:,}"
        for low, high in zip(below, above, strict=True)
    ]
    places = np.searchsorted(edges, chars.to_numpy(), side="left")
    return pl.Series("length", [names[place] for place in places])


def _shares(comparison: Comparison, pool: pl.DataFrame, by: str, most: int | None) -> list[Row]:
    """A row per value: its share of the pool and of each subset. most: those that differ most, and the rest in one row."""
    of_pool = _share(pool, by)
    of_arms = {arm.name: _share(pool.filter(pl.col("example_id").is_in(arm.chosen)), by) for arm in comparison.arms}
    values = sorted(of_pool, key=lambda value: -of_pool[value])
    if by == "length":
        values = list(pool.sort("output_chars")[by].unique(maintain_order=True))
    if most is not None and len(values) > most:

        def contrast(value: str) -> float:
            return max(abs(shares.get(value, 0.0) - of_pool[value]) for shares in of_arms.values())

        kept = set(sorted(values, key=contrast, reverse=True)[:most])
        rest = [value for value in values if value not in kept]
        values = [value for value in values if value in kept]
    else:
        rest = []
    rows = [_row(shortened(value, NAME), [value], of_pool, of_arms) for value in values]
    return [*rows, _row(f"{len(rest)} others", rest, of_pool, of_arms)] if rest else rows


def _row(name: str, values: Sequence[str], of_pool: dict[str, float], of_arms: dict[str, dict[str, float]]) -> Row:
    shares = [sum(of.get(value, 0.0) for value in values) for of in (of_pool, *of_arms.values())]
    return {"name": name, "cells": [{"share": percent(share), "width": round(100 * share, 1)} for share in shares]}


def _share(frame: pl.DataFrame, by: str) -> dict[str, float]:
    return {value: number / frame.height for value, number in frame.group_by(by).len().iter_rows()}


def overlap(comparison: Comparison) -> list[Row]:
    """Jaccard's index of every two subsets; on the diagonal, how much an arm's subset overlaps with itself."""
    chosen = [set(arm.chosen) for arm in comparison.arms]
    rows = []
    for place, arm in enumerate(comparison.arms):
        cells: list[Row] = []
        for other, ids in enumerate(chosen):
            if other == place:
                own = _from_draw_to_draw(arm) if arm.drawn_anew else arm.stability
                cells.append({"text": "not known" if own is None else percent(own), "own": True})
            else:
                cells.append({"text": percent(jaccard(chosen[place], ids)), "own": False})
        rows.append({"arm": arm.name, "cells": cells})
    return rows


def _from_draw_to_draw(arm: Arm) -> float:
    pairs = combinations([set(ids) for ids in arm.subsets.values()], 2)
    return float(np.mean([jaccard(one, other) for one, other in pairs]))


def jaccard(one: set[str], other: set[str]) -> float:
    either = len(one | other)
    return len(one & other) / either if either else 0.0


def chance_overlap(comparison: Comparison) -> float:
    """Jaccard's index that two subsets of the first arm's size would have if both were drawn at random."""
    size, pool = len(comparison.arms[0].chosen), max(comparison.pool.height, 1)
    both = size * size / pool
    return both / (2 * size - both) if size else 0.0


def quadrants(comparison: Comparison) -> Row | None:
    """Dispersion against anisotropy where answers differ, a plot per arm; places in per cent. None where none do."""
    scored = comparison.differing
    if scored.is_empty():
        return None
    top = [max(float(scored[name].max()), 1e-9) for name in ("dispersion", "anisotropy")]  # type: ignore[arg-type]
    placed = scored.with_columns(
        x=(8 + 88 * pl.col("dispersion") / top[0]).round(1), y=(90 - 84 * pl.col("anisotropy") / top[1]).round(1)
    )
    shown = placed.gather_every(max(1, -(-placed.height // POINTS)))
    plots = []
    for arm in comparison.arms:
        chosen = placed.filter(pl.col("example_id").is_in(arm.chosen))
        marked = chosen.gather_every(max(1, -(-chosen.height // CHOSEN_POINTS)))
        plots.append(
            {"arm": arm.name, "chosen": chosen.height, "points": marked.select("x", "y").unique().sort("x", "y").rows()}
        )
    middle = [float(scored[name].median()) for name in ("dispersion", "anisotropy")]  # type: ignore[arg-type]
    return {
        "pool": shown.select("x", "y").unique().sort("x", "y").rows(),
        "plots": plots,
        "median_x": round(8 + 88 * middle[0] / top[0], 1),
        "median_y": round(90 - 84 * middle[1] / top[1], 1),
        "median": [f"{value:.2f}" for value in middle],
        "top": [f"{value:.2f}" for value in top],
        "sampled": shown.height < placed.height,
        "differ": percent(scored.height / comparison.pool.height),
        "differ_of_arm": {
            arm.name: percent(scored.filter(pl.col("example_id").is_in(arm.chosen)).height / max(1, len(arm.chosen)))
            for arm in comparison.arms
        },
    }


def funnel_rows(comparison: Comparison) -> list[Row]:
    """From records read to examples selected; each row with a count per arm, and how far it is indented."""
    of_arms = [
        funnel(comparison.records, comparison.rejected, arm.left_out, arm.eligible, len(arm.chosen))
        for arm in comparison.arms
    ]
    rows: list[Row] = []
    for steps in zip(*of_arms, strict=True):
        rows.append({"what": steps[0]["step"], "cells": [f"{step['examples']:,}" for step in steps], "level": 0})
        for reason in dict.fromkeys(reason for step in steps for reason in step["left_out"]):
            cells = [f"{step['left_out'].get(reason, 0):,}" for step in steps]
            rows.append({"what": f"left out: {reason}", "cells": cells, "level": 1})
    return rows
