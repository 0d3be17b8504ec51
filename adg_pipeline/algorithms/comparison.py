"""Arms against a baseline: per benchmark, group and average the mean, its interval, the difference and how sure it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.statistics import Difference, holm, paired_difference

KEY = ("task", "subtask", "doc_id")
# From so many subtasks on they are a sample of subjects, and are drawn whole. Fewer are taken for all that a task is about:
# how subjects vary can't be told from a few.
CLUSTERS = 20
FIGURES_SCHEMA = {
    "kind": pl.String,
    "figure": pl.String,
    "arm": pl.String,
    "baseline": pl.String,
    "seeds": pl.Int64,
    "questions": pl.Int64,
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "p": pl.Float64,
    "p_holm": pl.Float64,
}


class UnequalQuestions(ValueError):
    """Results whose questions are not the same, so that they can't be paired."""


@dataclass(frozen=True)
class Figures:
    """Which figures are gathered: every task's, groups (name → tasks) and the average over all tasks, both plain means."""

    tasks: Sequence[str]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    average: str | None = None

    def __iter__(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        """Kind, name and tasks of each; the average first, since it is what is asked for."""
        if self.average is not None:
            yield "average", self.average, self.tasks
        yield from (("group", name, tasks) for name, tasks in self.groups.items())
        yield from (("task", task, [task]) for task in self.tasks)


def compare_arms(
    marks: pl.DataFrame, figures: Figures, baselines: Mapping[str, str | None], level: float = 0.95
) -> pl.DataFrame:
    """A row per figure and arm, with `FIGURES_SCHEMA`; arms as in baselines, where a baseline's own differences are null.

    Intervals are of questions and seeds (`paired_difference`); subtasks are drawn whole in a task that has `CLUSTERS` or
    more. p_holm is adjusted over the arms of a figure. An interval is null where a task has a single question or cluster.

    marks: columns arm, seed, task, subtask, doc_id, value: a row per question that a seed of an arm was asked. baselines:
    arm → the arm that it is compared with, None for those. Raises UnequalQuestions, naming who lacks what.
    """
    known = set(marks["arm"])
    if lacking := [arm for arm in (*baselines, *filter(None, baselines.values())) if arm not in known]:
        raise ValueError(f"there are no results of {', '.join(dict.fromkeys(lacking))}")
    questions = marks.select(KEY).unique().sort(KEY)
    arrays = {arm: _marks_of(marks, arm, questions) for arm in baselines}
    several = questions.group_by("task").agg(pl.col("subtask").n_unique() >= CLUSTERS)
    clustered = set(several.filter("subtask")["task"])
    task = questions["task"].to_numpy()
    cluster = np.array(
        [f"s {sub}" if of in clustered else f"q {sub} {doc}" for of, sub, doc in questions.iter_rows()], dtype=object
    ).astype(str)
    rows = []
    for kind, name, tasks in figures:
        asked = np.isin(task, list(tasks))
        found = {}
        for arm, of in arrays.items():
            own = _difference(of[:, asked], np.zeros((1, int(asked.sum()))), cluster[asked], task[asked], level)
            to_baseline, baseline = None, baselines[arm]
            if baseline is not None:
                its = arrays[baseline][:, asked]
                to_baseline = _difference(of[:, asked], its, cluster[asked], task[asked], level)
            found[arm] = own, to_baseline
        sure = [arm for arm, (_, to) in found.items() if to is not None and not np.isnan(to.p)]
        adjusted = dict(zip(sure, holm([to.p for arm in sure if (to := found[arm][1]) is not None]), strict=True))
        for arm, (own, to) in found.items():
            of_difference = (to.mean, to.low, to.high, to.p) if to is not None else (None,) * 4
            rows.append(
                (
                    kind, name, arm, baselines[arm], len(arrays[arm]), int(asked.sum()),
                    own.mean, own.low, own.high, *of_difference, adjusted.get(arm),
                )
            )  # fmt: skip
    return pl.DataFrame(rows, schema=FIGURES_SCHEMA, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def _marks_of(marks: pl.DataFrame, arm: str, questions: pl.DataFrame) -> NDArray[np.float64]:
    """(seeds, questions) marks of an arm, seeds in their order."""
    rows = []
    for (seed,), of_seed in marks.filter(pl.col("arm") == arm).sort("seed").group_by("seed", maintain_order=True):
        found = questions.join(of_seed, on=KEY, how="left", maintain_order="left", nulls_equal=True)
        lacking = found.filter(pl.col("value").is_null())
        if lacking.height or found.height != questions.height:
            what = f"{lacking.height} questions, such as {lacking.row(0)[:3]}," if lacking.height else "some twice"
            raise UnequalQuestions(
                f"arm {arm}, seed {seed}: {what} of {questions.height} are not the others': they were asked otherwise"
            )
        rows.append(found["value"].to_numpy().astype(np.float64))
    return np.stack(rows)


def _difference(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    clusters: NDArray[np.str_],
    tasks: NDArray[np.str_],
    level: float,
) -> Difference:
    """NaN for what can't be told of a single question or cluster."""
    if min(len(set(clusters[tasks == task])) for task in set(tasks)) > 1:
        return paired_difference(a, b, clusters, level, tasks=tasks)
    means = [[arm[:, tasks == task].mean() for task in sorted(set(tasks))] for arm in (a, b)]
    mean = float(np.mean(means[0]) - np.mean(means[1]))
    return Difference(mean, np.nan, np.nan, np.nan, min(len(a), len(b)), a.shape[1])
