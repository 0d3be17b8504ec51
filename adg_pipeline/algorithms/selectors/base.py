"""What a selector takes, what it declares, and what it gives.

A selector names the signals that it reads, so that an arm pays only for its own. One that scores examples is a short
function (see `eigenscore`); `by_score` does what all of those share: the reach gate, the length control, and the pick by
bins or over the whole pool.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.draws import uniform_draws
from adg_pipeline.algorithms.length_control import length_residual
from adg_pipeline.algorithms.selection import rank_table
from adg_pipeline.settings.sections import SelectionConfig

OUT_OF_REACH = "its reference is out of the backbone's reach"
UNKNOWN = "a signal that the arm reads is missing"

# What makes a signal known that was told of no example at all.
_PLAIN = "set `reference_losses.plain` to true"
MENDS = {
    "plain_logprob": _PLAIN,
    "plain_bare_logprob": _PLAIN,
    "confident_surprise": "set `reference_losses.engine` to transformers, since vllm and servers tell no entropies",
    "noisy_ifd": "set `reference_losses.noisy_copies` to 30",
    "ranker_score": "set `reference_losses.ranker` to the folder of a SCAR ranker",
    "answer_tokens": "the server doesn't count tokens, so set `selected_subset.length_control` to false",
}

# The setting of `reference_losses` that asks for a signal; the others are always there.
ON_REQUEST = {
    "plain_logprob": "plain",
    "plain_bare_logprob": "plain",
    "noisy_ifd": "noisy_copies",
    "ranker_score": "ranker",
}

# Signals by the table that holds them. Lists are (K,) or, for cosines, (K·K,) per example.
SCORE_SIGNALS = (
    "dispersion", "anisotropy", "eigenvalues", "mode_sizes", "cosines", "output_chars", "answer_tokens",
)  # fmt: skip
REFERENCE_SIGNALS = (
    "reference_tokens", "reference_logprob", "answer_logprob", "bare_logprob", "plain_logprob", "plain_bare_logprob",
    "sequence_logprob", "confident_surprise", "state", "noisy_ifd", "selective_ifd", "selective_ifd_spread",
    "selective_tokens", "ranker_score",
)  # fmt: skip
TEXTS = ("instruction", "input", "output")
FILES = ("queries", "given")


@dataclass(frozen=True)
class Candidates:
    """The examples that may be selected, one row each, sorted by id.

    frame: example_id, bin, and the signals that the selector declares. vectors: (N, d) of the instructions, at unit
    length. centroids: (C, d) of the bins. queries: texts of what the subset is meant to help with. likeness: (N, Q) cosines
    of the examples' states to those of the queries, NaN where an example has none. given: ids of a list that somebody made,
    in its order.
    """

    frame: pl.DataFrame
    vectors: NDArray[np.float32] | None = None
    centroids: NDArray[np.float32] | None = None
    queries: Sequence[str] = ()
    likeness: NDArray[np.float32] | None = None
    given: Sequence[str] = ()

    def take(self, rows: NDArray[np.int64]) -> "Candidates":
        """Some of them, by their rows."""
        return replace(
            self,
            frame=self.frame[rows],
            vectors=None if self.vectors is None else self.vectors[rows],
            likeness=None if self.likeness is None else self.likeness[rows],
        )


Scores = NDArray[np.float64]
Choose = Callable[[Candidates, SelectionConfig], pl.DataFrame]


@dataclass(frozen=True)
class Selector:
    """A way to choose a subset.

    choose: gives the columns of `rank_table` and ``left_out`` (null, or why the selector can't take the example), one row
    per candidate in the order given; the result depends on the order of rows in no other way. signals: columns it
    reads. vectors, centroids, queries, likeness, given: whether it reads those. greedy: takes one example after the other,
    so there are no ranking and no quotas. draws: whether `selected_subset.seed` decides what it takes. source: the paper or
    code that it follows.
    """

    choose: Choose
    source: str
    signals: tuple[str, ...] = ()
    vectors: bool = False
    centroids: bool = False
    queries: bool = False
    likeness: bool = False
    given: bool = False
    greedy: bool = False
    draws: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Settings without which there is nothing for it to read."""
        asked = [f"reference_losses.{ON_REQUEST[name]}" for name in self.signals if name in ON_REQUEST]
        states = ["reference_losses.states"] if self.likeness else []
        return tuple(dict.fromkeys([*asked, *states, *(f"selected_subset.{name}" for name in self.files)]))

    @property
    def files(self) -> tuple[str, ...]:
        """Fields of `SelectionConfig` that name a file it reads."""
        return tuple(name for name in FILES if getattr(self, name))

    def ignores(self, config: SelectionConfig) -> tuple[str, ...]:
        """Fields of `SelectionConfig` that change nothing for it, beside the others that these settings have."""
        read = {
            **dict.fromkeys(("bins", "rank", "length_control"), not self.greedy),
            "quota": not self.greedy and config.bins != "none",
            **dict.fromkeys(("weight", "first_answers"), "dispersion" in self.signals),
            **{name: name in self.files for name in FILES},
            "seed": self.is_drawn(config),
        }
        return tuple(name for name, it_does in read.items() if not it_does)

    def is_drawn(self, config: SelectionConfig) -> bool:
        """Whether another seed would give another subset."""
        return self.draws or (config.bins == "random" and not self.greedy)

    def reads(self, config: SelectionConfig) -> tuple[str, ...]:
        """Its signals under these settings: those of the gate and the length control too, where they are on."""
        reach = ("reference_logprob", "answer_logprob") if config.reach is not None else ()
        lengths = ("answer_tokens",) if config.length_control and not self.greedy else ()
        of_some = ("cosines",) if config.first_answers is not None and "dispersion" in self.signals else ()
        return tuple(dict.fromkeys([*self.signals, *reach, *lengths, *of_some]))


def by_score(
    score: Callable[[pl.DataFrame, SelectionConfig], Scores],
    barred: Callable[[pl.DataFrame, SelectionConfig], pl.Series] | None = None,
) -> Choose:
    """A selector of the examples with the highest score. barred: why an example can't be taken, null where it can."""

    def choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
        frame = candidates.frame
        reasons = [barred(frame, config)] if barred is not None else []
        scores = score(frame, config)
        allowed, left_out = admit(frame, scores, reasons, config)
        kept = frame.filter(allowed)
        return placed(frame, allowed, left_out, pick(kept, controlled(kept, scores[allowed], config), config))

    return choose


def admit(
    frame: pl.DataFrame, scores: Scores, reasons: Sequence[pl.Series], config: SelectionConfig
) -> tuple[NDArray[np.bool_], pl.Series]:
    """Which candidates may be taken, (N,), and why the others may not."""
    faults = [*reasons]
    if config.reach is not None:
        gap = (frame["reference_logprob"] - frame["answer_logprob"]).fill_null(np.nan).to_numpy()
        faults.append(reason_where(np.isnan(gap), UNKNOWN))
        faults.append(reason_where(gap < config.reach, OUT_OF_REACH))
    faults.append(reason_where(np.isnan(scores), UNKNOWN))
    if config.length_control and "answer_tokens" in frame:  # those that read it alone declare it
        faults.append(reason_where(frame["answer_tokens"].is_null().to_numpy(), UNKNOWN))
    left_out = pl.select(pl.coalesce(faults)).to_series()
    return left_out.is_null().to_numpy(), left_out


def controlled(frame: pl.DataFrame, scores: Scores, config: SelectionConfig) -> Scores:
    """Scores of the rows, (N,), less what the length of their answers explains, where that is asked for."""
    return length_residual(scores, frame["answer_tokens"].to_numpy()) if config.length_control else scores


def pick(frame: pl.DataFrame, scores: Scores, config: SelectionConfig) -> pl.DataFrame:
    """Rank the rows within their bins, within random bins of the same sizes, or over the whole pool."""
    if config.bins == "none":
        table = rank_table(
            frame["example_id"], scores, np.zeros(frame.height, np.int32), config.budget, rank=config.rank
        )
        return without_bins(table)
    bins = frame["bin"].to_numpy()
    if config.bins == "random":
        by_draw = np.argsort(uniform_draws(frame["example_id"], config.seed), kind="stable")
        shuffled = np.empty_like(bins)
        shuffled[by_draw] = np.sort(bins)
        bins = shuffled
    return rank_table(frame["example_id"], scores, bins, config.budget, quota=config.quota, rank=config.rank)


def in_order(frame: pl.DataFrame, scores: Scores, picked: NDArray[np.int64]) -> pl.DataFrame:
    """The table of a selector that takes rows one after the other; picked: their places, the first taken first."""
    position = np.zeros(frame.height, dtype=np.int32)
    position[picked] = np.arange(1, len(picked) + 1)
    return frame.select(
        "example_id",
        pl.Series("score", scores, dtype=pl.Float64),
        *(pl.lit(None, dtype=pl.Int32).alias(name) for name in ("bin", "bin_rank", "bin_size", "bin_quota")),
        pl.Series("selected", position > 0),
        pl.Series("position", position).replace(0, None),
    )


def without_bins(table: pl.DataFrame) -> pl.DataFrame:
    """The same table with the columns of bins null."""
    unused = ("bin", "bin_rank", "bin_size", "bin_quota")
    return table.with_columns(pl.lit(None, dtype=table.schema[name]).alias(name) for name in unused)


def placed(frame: pl.DataFrame, allowed: NDArray[np.bool_], left_out: pl.Series, table: pl.DataFrame) -> pl.DataFrame:
    """The table of the allowed rows, with the others in their places: not selected, and why."""
    whole = table
    if not allowed.all():  # a sort of all columns holds them twice
        others = frame.filter(~allowed).select(
            "example_id",
            selected=pl.lit(False),
            left_out=left_out.filter(~allowed),
            row=pl.Series(np.flatnonzero(~allowed)),
        )
        own = table.with_columns(row=pl.Series(np.flatnonzero(allowed)))
        whole = pl.concat([own, others], how="diagonal").sort("row").drop("row")
    return whole if "left_out" in whole.columns else whole.with_columns(left_out=pl.lit(None, dtype=pl.String))


def numbers(frame: pl.DataFrame, name: str) -> Scores:
    """A column as floats, NaN where it is null."""
    values: Scores = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return values


def lists(frame: pl.DataFrame, name: str) -> Scores:
    """A column of lists of one length, (N, length); NaN rows where it is null."""
    column = frame[name]
    width = int(column.list.len().max() or 0)  # type: ignore[arg-type]
    filled = column.fill_null(pl.lit([float("nan")] * width, dtype=pl.List(pl.Float64)))
    values: Scores = filled.cast(pl.List(pl.Float64)).explode().to_numpy().reshape(frame.height, width)
    return values


def reason_where(fault: NDArray[np.bool_], reason: str) -> pl.Series:
    """The reason where there is a fault, null elsewhere."""
    return pl.select(pl.when(pl.Series(fault)).then(pl.lit(reason))).to_series()
