"""What a comparison holds: figures of arms, what each arm chose and left out, and what all of it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl


@dataclass(frozen=True)
class Arm:
    """An arm as it was compared.

    Attributes:
        name, about: Its name, and what it does in words.
        family, budget: The arm without its budget, and the budget asked for; several budgets of a family make a curve.
        subsets: Subsets trained on: name → ids. One; of an arm that draws anew for each training seed, one per seed.
        left_out: Examples it could not take, by reason.
        eligible: Examples it could take.
        stability: What of the subset stays (Jaccard) when one of the K answers is left out; None where it isn't known.
    """

    name: str
    about: str
    family: str
    budget: int
    subsets: Mapping[str, Sequence[str]]
    left_out: Mapping[str, int]
    eligible: int
    stability: float | None = None

    @property
    def chosen(self) -> Sequence[str]:
        """Ids of its subset, or of its first."""
        return next(iter(self.subsets.values()))

    @property
    def drawn_anew(self) -> bool:
        return len(self.subsets) > 1


@dataclass(frozen=True)
class Example:
    """An example of a corner: where it comes from, what was asked and answered, its D and I, and who chose it."""

    example_id: str
    origin: str
    instruction: str
    input: str
    output: str
    answers: Sequence[str]
    dispersion: float
    anisotropy: float
    chosen_by: Sequence[str]


@dataclass(frozen=True)
class Corner:
    """A quadrant of D and I, cut at the medians of the examples whose answers differ. share: of these, of the pool's."""

    wide: bool
    many_ways: bool
    share: float
    share_of_arm: Mapping[str, float]
    examples: Sequence[Example]


@dataclass(frozen=True)
class Cost:
    """What a stage took: in words of how much, seconds and tokens; None where nothing was recorded."""

    stage: str
    what: str
    seconds: float | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Comparison:
    """All that the report shows.

    Attributes:
        suite, limit: What was asked; limit: of a quick look, the first so many questions of each task and subtask.
        baseline: What the others are compared with: of several budgets, its arm of the same one.
        backbone: Name of the model that was tuned.
        figures: A row per figure and arm, with `adg_pipeline.algorithms.comparison.FIGURES_SCHEMA`.
        beside: Figures that don't count in means (figure, arm, mean), such as another reading of the same answers.
        marks: arm, seed, task, subtask, doc_id, value: what `figures` was made from.
        pool: example_id, source, bin, output_chars, dispersion, anisotropy of every example, once each.
        records, rejected: Read from the pool's files, and turned away, by reason.
        how: How results were got, in words, by name.
    """

    suite: str
    baseline: str
    backbone: str
    figures: pl.DataFrame
    marks: pl.DataFrame
    arms: Sequence[Arm]
    pool: pl.DataFrame
    records: int
    rejected: Mapping[str, int]
    corners: Sequence[Corner]
    costs: Sequence[Cost]
    made_at: str
    level: float = 0.95
    limit: int | None = None
    beside: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"figure": pl.String, "arm": pl.String, "mean": pl.Float64})
    )
    how: Mapping[str, str] = field(default_factory=dict)

    @property
    def differing(self) -> pl.DataFrame:
        """Of the pool, the examples whose sampled answers differ."""
        return self.pool.filter(pl.col("dispersion") > 0)

    @property
    def seeds(self) -> Sequence[int]:
        return sorted(set(self.marks["seed"]))
