"""What came out, in figures: accuracy by arm with its interval, share of the oracle's gain, paired differences."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from adg_pipeline.algorithms.statistics import Difference, paired_difference
from adg_pipeline.demo.skills import BARELY_KNOWN as BARELY_KNOWN_SKILLS
from adg_pipeline.host.files import write_atomically
from benchmarks.truth.records import UNMET
from benchmarks.truth.subsets import ORACLE

LEVEL = 0.95
RESAMPLES = 4000
# Of skills, in the order of the questions: as many skills of each, and as many questions of each skill.
SKILLS = len(BARELY_KNOWN_SKILLS)
BARELY_KNOWN = "barely known"
KINDS = ("known", BARELY_KNOWN, "unmet")
KINDS_OF_RECORDS = ("known", "barely-known", "open-ended")
Marks = NDArray[np.float64]
Where = tuple[str, float, float]  # noise, share of it, budget


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds, and Student's interval of it; without width for one seed."""

    mean: float
    half: float
    n: int

    @classmethod
    def of(cls, values: Marks) -> "Interval":
        n = len(values)
        half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
        return cls(float(values.mean()), half, n)

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half:.3f}"


def write(results: pl.DataFrame, path: Path) -> None:
    write_atomically(path, lambda staged: results.write_parquet(staged, compression="zstd"))


def read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path)


def with_new(known: pl.DataFrame | None, new: pl.DataFrame) -> pl.DataFrame:
    """The rows known before, of other worlds, places and arms than the new ones, and the new ones."""
    if known is None:
        return new
    return pl.concat([known.join(new, on=["seed", "noise", "share", "budget", "arm"], how="anti"), new])


def places(results: pl.DataFrame) -> list[Where]:
    """Noise, share of it and budget of all that was run, in the order of the table."""
    return list(results.select("noise", "share", "budget").unique(maintain_order=True).iter_rows())


def arms_at(results: pl.DataFrame, where: Where) -> list[str]:
    """Arms whose subsets were trained on in one place, those with the highest accuracy first."""
    arms = _at(results, where).filter(pl.col("marks").is_not_null())["arm"].unique(maintain_order=True).to_list()
    return sorted(arms, key=lambda arm: -accuracy(results, where, arm).mean)


def accuracy(results: pl.DataFrame, where: Where, arm: str, of: str = BARELY_KNOWN) -> Interval:
    """Over seeds, on skills of one kind: `KINDS`."""
    return Interval.of(_of_kind(np.stack(list(marks_of(results, where, arm).values())), where, of).mean(axis=1))


def picked(results: pl.DataFrame, where: Where, arm: str) -> dict[str, float]:
    """Examples of each kind in a subset, the mean over seeds; empty for an arm that wasn't run there."""
    rows = _at(results, where).filter(arm=arm)
    counts: dict[str, float] = dict.fromkeys(KINDS_OF_RECORDS, 0.0) if rows.height else {}
    for kinds in rows["picked"].to_list():
        for entry in kinds:
            counts[entry["kind"]] = counts.get(entry["kind"], 0.0) + entry["examples"] / rows.height
    return counts


def marks_of(results: pl.DataFrame, where: Where, arm: str) -> dict[int, Marks]:
    """(questions,) marks of an arm by seed."""
    rows = _at(results, where).filter(pl.col("marks").is_not_null(), arm=arm).sort("seed")
    return {seed: np.array(marks, np.float64) for seed, marks in rows.select("seed", "marks").iter_rows()}


def _of_kind(marks: Marks, where: Where, kind: str) -> Marks:
    """(…, questions of one kind), of marks (…, questions) in the order of skills."""
    kinds = KINDS if where[0] == UNMET else KINDS[:2]
    return np.split(marks, len(kinds), axis=-1)[kinds.index(kind)]


def difference(results: pl.DataFrame, where: Where, arm: str, other: str) -> Difference | None:
    """Of accuracies on barely known skills, over the seeds that both have; None for one and the same arm."""
    mine, theirs = marks_of(results, where, arm), marks_of(results, where, other)
    common = sorted(mine.keys() & theirs.keys())
    if arm == other or not common:
        return None
    pair = [_of_kind(np.stack([marks[seed] for seed in common]), where, BARELY_KNOWN) for marks in (mine, theirs)]
    skills = np.repeat(np.arange(SKILLS), pair[0].shape[1] // SKILLS)
    return paired_difference(*pair, level=LEVEL, paired_seeds=True, tasks=skills)


def share_of_oracle(results: pl.DataFrame, where: Where, arm: str) -> tuple[float, float, float] | None:
    """(arm - random) / (oracle - random), a ratio of means, with a percentile interval of a bootstrap over seeds."""
    found = [marks_of(results, where, name) for name in (arm, "random", ORACLE)]
    common = sorted(set.intersection(*(set(marks) for marks in found)))
    if not common:
        return None
    own, random, oracle = (
        _of_kind(np.stack([marks[seed] for seed in common]), where, BARELY_KNOWN).mean(axis=1) for marks in found
    )
    drawn = np.random.default_rng(0).integers(0, len(common), (RESAMPLES, len(common)))
    room = (oracle - random)[drawn].mean(axis=1)
    ratios = (own - random)[drawn].mean(axis=1)[room > 0] / room[room > 0]
    low, high = np.quantile(ratios, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float((own - random).mean() / (oracle - random).mean()), float(low), float(high)


def _at(results: pl.DataFrame, where: Where) -> pl.DataFrame:
    noise, share, budget = where
    return results.filter(pl.col("noise") == noise, pl.col("share") == share, pl.col("budget") == budget)
