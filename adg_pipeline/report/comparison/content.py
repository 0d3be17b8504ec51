"""What a comparison holds: figures of arms, what each arm chose and left out, and what all of it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from adg_pipeline.algorithms.comparison import FIGURES_SCHEMA

# No arm can have a name with a space.
UNTUNED = "untuned backbone"


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
    """What a stage took: in words of how much, seconds and tokens, and on what; None where nothing was recorded."""

    stage: str
    what: str
    seconds: float | None = None
    tokens: int | None = None
    hardware: str | None = None


@dataclass(frozen=True)
class Comparison:
    """All that the report shows.

    Attributes:
        suite, limit: What was asked; limit: of a quick look, the first so many questions of each task and subtask.
        baseline: What the others are compared with: of several budgets, its arm of the same one.
        backbone: Name of the model that was tuned.
        figures: A row per figure and arm, with `adg_pipeline.algorithms.comparison.FIGURES_SCHEMA`.
        untuned: The same of the backbone as it was before any tuning, as the arm `UNTUNED`; empty where it wasn't evaluated.
            Its p is not adjusted, and the others' are not adjusted for it: it is no arm, but what tuning starts from.
        untuned_missing: Why `untuned` is empty.
        beside: Figures that don't count in means (figure, arm, mean), such as another reading of the same answers.
        marks: arm, seed, task, subtask, doc_id, value: what `figures` was made from.
        pool: example_id, source, bin, output_chars, dispersion, anisotropy of every example, once each.
        records, rejected: Read from the pool's files, and turned away, by reason.
        how: How results were got, in words, by name.
        topics: Of each semantic bin the words that tell it from the pool, the most telling first.
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
    topics: Mapping[int, Sequence[str]] = field(default_factory=dict)
    untuned: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FIGURES_SCHEMA))
    untuned_missing: str = ""

    @property
    def all_figures(self) -> pl.DataFrame:
        """Those of arms and of the untuned backbone, figure by figure, the backbone's last."""
        order = {name: place for place, name in enumerate(self.figures["figure"].unique(maintain_order=True))}
        place = pl.col("figure").replace_strict(order, default=len(order))
        return pl.concat([self.figures, self.untuned]).sort(place, maintain_order=True)

    @property
    def differing(self) -> pl.DataFrame:
        """Of the pool, the examples whose sampled answers differ."""
        return self.pool.filter(pl.col("dispersion") > 0)

    @property
    def seeds(self) -> Sequence[int]:
        return sorted(set(self.marks["seed"].drop_nulls()))
