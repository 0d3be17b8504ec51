"""From samples to figures: a task's mean, the means of groups, the average."""

import math

import polars as pl

from adg_pipeline.resources.evaluator.suite import Suite

SAMPLES_SCHEMA = {
    "task": pl.String,
    "subtask": pl.String,
    "doc_id": pl.Int64,
    "doc_hash": pl.String,
    "prompt_hash": pl.String,
    "target_hash": pl.String,
    "filter": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "target": pl.String,
    "response": pl.String,
}

SUMMARY_SCHEMA = {
    "kind": pl.String,
    "name": pl.String,
    "filter": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "stderr": pl.Float64,
    "questions": pl.Int64,
    "of": pl.Int64,
    "headline": pl.Boolean,
}


def summarise(samples: pl.DataFrame, suite: Suite, sizes: dict[str, int]) -> pl.DataFrame:
    """A row for every task's filter and metric, for every group and for the average, with `SUMMARY_SCHEMA`.

    A task's figure is the mean over its questions, so that subtasks count by their size; a group's is the plain mean of
    its tasks' headlines. sizes: how many questions each task has in all.
    """
    rows = []
    headlines: dict[str, float] = {}
    for task in suite.tasks:
        of_task = samples.filter(pl.col("task") == task.task)
        for (filtered, metric), of in sorted(of_task.group_by("filter", "metric"), key=lambda pair: pair[0]):
            is_headline = (filtered, metric) == (task.filter, task.metric)
            mean, count = float(of["value"].mean()), len(of)  # type: ignore[arg-type]
            deviation = of["value"].std()
            stderr = None if deviation is None else float(deviation) / math.sqrt(count)  # type: ignore[arg-type]
            if is_headline:
                headlines[task.task] = mean
            rows.append(("task", task.task, filtered, metric, mean, stderr, count, sizes[task.task], is_headline))
        if task.task not in headlines:
            there = ", ".join(f"{metric} ({filtered})" for _, _, filtered, metric, *_ in rows if rows) or "nothing"
            raise ValueError(f"{task.task} gives no {task.metric} with filter {task.filter}; it gives {there}")
    groups = {name: ("group", members) for name, members in suite.groups.items()}
    if suite.average:
        groups[suite.average] = ("average", list(headlines))
    for name, (kind, members) in groups.items():
        of_members = [row for row in rows if row[1] in members and row[8]]
        rows.append(
            (
                kind, name, None, None,
                sum(headlines[member] for member in members) / len(members), None,
                sum(row[6] for row in of_members), sum(row[7] for row in of_members), True,
            )
        )  # fmt: skip
    return pl.DataFrame(rows, schema=SUMMARY_SCHEMA, orient="row")
