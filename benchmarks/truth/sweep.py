"""The sweep: cells of a plan in some processes, a world at a time each. A killed one goes on where it stopped."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
from transformers.utils.logging import disable_progress_bar

from adg_pipeline.host.files import locked
from adg_pipeline.host.parent import die_with_parent
from adg_pipeline.progress import ProgressLog
from benchmarks.truth.cells import FULL, Cell, CellFile, Scale, run_cell
from benchmarks.truth.plan import Plan, Task, together
from benchmarks.truth.signals import World

_LOOK_SECONDS = 20.0
# Of results; marks are those of the held-out questions, in order, and null where nothing was trained.
SCHEMA: dict[str, Any] = {
    "seed": pl.Int32,
    "noise": pl.String,
    "share": pl.Float64,
    "budget": pl.Float64,
    "arm": pl.String,
    "subset": pl.String,
    "picked": pl.List(pl.Struct({"kind": pl.String, "examples": pl.Int32})),
    "marks": pl.List(pl.Boolean),
}


def run(plan: Plan, work: Path, say: Callable[[str], None], processes: int = 2, scale: Scale = FULL) -> None:
    """Run what the plan's files in `work` don't have yet, in the plan's order."""
    context = multiprocessing.get_context("spawn")
    total = left = _left(plan, work)
    progress = ProgressLog(say, "truth", "arms", every=_LOOK_SECONDS)
    with ProcessPoolExecutor(processes, context, die_with_parent) as pool:
        # What follows each other of one world is one process's: two would wait for each other to make it.
        by_world = groupby(plan, key=lambda task: task.cell.seed)
        running = {pool.submit(_run_tasks, list(tasks), work, scale) for _, tasks in by_world}
        while left and running:
            finished, running = wait(running, _LOOK_SECONDS, FIRST_COMPLETED)
            for future in finished:
                if future.exception() is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                future.result()
            left = _left(plan, work)
            progress(total - left, total)


def _left(plan: Plan, work: Path) -> int:
    return sum(len(_missing(task, work)) for task in plan)


def _run_tasks(tasks: Plan, work: Path, scale: Scale) -> None:
    disable_progress_bar()
    for task in tasks:
        for _ in steps(task, work, scale):
            pass


def steps(task: Task, work: Path, scale: Scale) -> Iterator[str]:
    """Run what a cell's file doesn't have, yielding each arm when it is there."""
    cell = task.cell
    with locked(work / "locks" / cell.name):  # of another sweep on the same folder
        yield from run_cell(
            World(work, cell.seed, scale.backbone), cell, task.arms, task.trained, _path(work, cell), scale
        )


def _missing(task: Task, work: Path) -> list[str]:
    kept = CellFile.read(_path(work, task.cell))
    return [arm for arm in task.arms if not kept.has(arm, task.trained)]


def collect(plan: Plan, work: Path) -> pl.DataFrame:
    """One row for each cell and arm of the plan that is done, of `SCHEMA`, in the plan's order."""
    rows = [row for cell, arms in together(plan).items() for row in _rows(cell, arms, work)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _rows(cell: Cell, arms: Sequence[str], work: Path) -> Iterator[tuple[object, ...]]:
    kept = CellFile.read(_path(work, cell))
    for arm in arms:
        if arm in kept.picks:
            subset, kinds = kept.picks[arm]
            picked = [{"kind": kind, "examples": count} for kind, count in kinds.items()]
            yield (cell.seed, cell.noise, cell.share, cell.budget, arm, subset, picked, kept.marks.get(subset))


def _path(work: Path, cell: Cell) -> Path:
    return work / "cells" / f"{cell.name}.json"
