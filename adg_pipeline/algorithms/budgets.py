"""What an arm chooses under a budget: in examples or in tokens, of the whole pool or of each source by itself.

A part is a piece of the pool with a budget of its own. Each arm chooses in each part as it would in a pool of these examples
alone, so quotas of sources hold for every arm, whether it ranks or takes one example after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.must_keep import keep
from adg_pipeline.algorithms.quotas import largest_remainder
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.sections import SelectionConfig

NO_SHARE = "its source gets none of the budget"
OTHERS = "the other sources"
WEIGHT_UNITS = 1_000_000  # quotas are worked out in whole numbers

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """name: the source, or "" of the whole pool. rows: (n,) candidates in their order. budget: in examples or, where the
    settings have a budget in tokens, in tokens."""

    name: str
    rows: Rows
    budget: int

    def among(self, rows: Rows, total: int) -> "Part":
        """The same part of some of `total` candidates, with its share of the budget; rows: those taken, rising."""
        mine = np.flatnonzero(np.isin(rows, self.rows))
        return Part(self.name, mine, max(1, round(self.budget * len(rows) / total)) if self.budget else 0)


def parts_of(candidates: Candidates, config: SelectionConfig, must_keep: Sequence[str] = ()) -> list[Part]:
    """The parts of the budget: one, or by source where the settings ask for it.

    What a source with a weight can't fill goes to the others that have one. Raises SettingsError, with the arithmetic, for a
    quota that its source can't fill, and for a source that the pool hasn't.
    """
    everything = np.arange(candidates.frame.height)
    whole = config.budget if config.budget_tokens is None else config.budget_tokens
    if not config.source_quotas and not config.source_weights:
        return [Part("", everything, whole)]
    frame = candidates.frame.select("example_id", "source").with_columns(_may(candidates, config, must_keep))
    sources = frame["source"].to_numpy()
    by_source = dict(frame.group_by("source").agg(pl.col("may").sum()).sort("source").iter_rows())
    for key, named in (("source_quotas", config.source_quotas), ("source_weights", config.source_weights)):
        if unknown := sorted(name for name, share in named.items() if share and name not in by_source):
            known = ", ".join(f"{name} ({count:,})" for name, count in by_source.items())
            raise SettingsError(
                f"selected_subset.{key}: no example that can be selected is of {unknown[0]}; there are {known}"
            )
    parts = []
    for name, quota in config.source_quotas.items():
        if quota > (can := by_source.get(name, 0)):
            raise SettingsError(
                f"selected_subset.source_quotas asks for {quota:,} of {name}, and {can:,} of it can be selected: "
                "lower it, or leave less out"
            )
        parts.append(Part(name, np.flatnonzero(sources == name), quota))
    rest = whole - sum(config.source_quotas.values())
    if not config.source_weights:
        others = np.flatnonzero(~np.isin(sources, list(config.source_quotas)))
        return _some([*parts, *([Part(OTHERS, others, rest)] if len(others) and rest else [])])
    names = sorted(config.source_weights)
    rows = [np.flatnonzero(sources == name) for name in names]
    weights = [max(1, round(config.source_weights[name] * WEIGHT_UNITS)) for name in names]
    may = frame["may"].to_numpy()
    costs = _costs(candidates, config)
    most = [int(costs[of_one][may[of_one]].sum()) for of_one in rows]
    shares = largest_remainder(weights, rest, most)
    return _some([*parts, *(Part(*of_one) for of_one in zip(names, rows, map(int, shares), strict=True))])


def _some(parts: list[Part]) -> list[Part]:
    """The parts. Raises SettingsError where none has any of the budget."""
    if not any(part.budget for part in parts):
        raise SettingsError(
            "selected_subset.source_quotas, source_weights: of the sources that are to have a part of the budget nothing can "
            "be selected"
        )
    return parts


def choose(candidates: Candidates, config: SelectionConfig, parts: Sequence[Part]) -> pl.DataFrame:
    """The arm's table (`Selector.choose`) under the parts' budgets."""
    if _is_whole(parts, candidates.frame.height):
        return _fitting(candidates, config, parts[0].budget)
    left = _without_part(parts, candidates.frame.height)
    nothing = candidates.frame[left].select("example_id", selected=pl.lit(False), left_out=pl.lit(NO_SHARE))
    tables = [(part.rows, _fitting(candidates.take(part.rows), config, part.budget)) for part in parts if part.budget]
    return _dealt([*tables, (left, nothing)])


def keep_listed(
    places: pl.DataFrame, ids: Sequence[str], candidates: Candidates, config: SelectionConfig, parts: Sequence[Part]
) -> pl.DataFrame:
    """An arm's choice with the ids that must be in it first, each within the budget of its part.

    Raises SettingsError where those of a part are more than its budget.
    """
    if not ids:
        return places.with_columns(must_keep=pl.lit(False))
    costs = _costs(candidates, config)
    unit = "examples" if config.budget_tokens is None else "tokens"

    def kept(part: Part) -> pl.DataFrame:
        try:
            return keep(places[part.rows], ids, part.budget, costs[part.rows], unit)
        except ValueError as error:
            of_source = f"{part.name}: " if part.name else ""
            raise SettingsError(f"selected_subset.must_keep: {of_source}{error}") from error

    if _is_whole(parts, places.height):
        return kept(parts[0])
    rest = Part(NO_SHARE, _without_part(parts, places.height), 0)
    return _dealt([(part.rows, kept(part)) for part in (*parts, rest) if part.budget or part is rest])


def _is_whole(parts: Sequence[Part], count: int) -> bool:
    return len(parts) == 1 and len(parts[0].rows) == count


def _without_part(parts: Sequence[Part], count: int) -> Rows:
    """Rows that no budget is for."""
    return np.setdiff1d(np.arange(count), np.concatenate([part.rows for part in parts if part.budget]))


def _dealt(tables: Sequence[tuple[Rows, pl.DataFrame]]) -> pl.DataFrame:
    """Tables of some rows each as one of all rows, in their order. Positions are dealt into each other, so that the beginning
    of a subset has the parts in proportion; before them all what must be kept."""
    turns = []
    for number, (rows, table) in enumerate(tables):
        first = int(table["must_keep"].sum()) if "must_keep" in table.columns else 0
        others = max(1, int(table["selected"].sum()) - first)
        position = pl.col("position") if "position" in table.columns else pl.lit(None, pl.Int32)
        turns.append(
            table.with_columns(row=pl.Series(rows), turn=(position - first - 0.5) / others, part=pl.lit(number))
        )
    whole = pl.concat(turns, how="diagonal_relaxed").sort("row").drop("row").with_row_index("at")
    order = whole.filter("selected").sort("turn", "part").select("at").with_row_index("now", offset=1)
    numbered = whole.join(order, on="at", how="left", maintain_order="left")
    return numbered.with_columns(position=pl.col("now").cast(pl.Int32)).drop("at", "now", "turn", "part")


def _may(candidates: Candidates, config: SelectionConfig, must_keep: Sequence[str]) -> pl.Series:
    """Whether each candidate can be taken: by the arm, or since it must be."""
    table = SELECTORS[config.selector].choose(candidates, config.model_copy(update={"budget": 1}))
    kept = candidates.frame["example_id"].is_in(list(must_keep))
    return (table["left_out"].is_null() | kept).alias("may")


def _costs(candidates: Candidates, config: SelectionConfig) -> Rows:
    """(N,) what each candidate takes of the budget."""
    if config.budget_tokens is None:
        return np.ones(candidates.frame.height, dtype=np.int64)
    costs: Rows = candidates.frame["tokens"].cast(pl.Int64).to_numpy()
    return costs


def _fitting(candidates: Candidates, config: SelectionConfig, budget: int) -> pl.DataFrame:
    """The arm's table under one budget. In tokens: as many examples as fit, by the arm's own rule for so many."""
    chooses = SELECTORS[config.selector]
    if config.budget_tokens is None:
        return chooses.choose(candidates, config.model_copy(update={"budget": budget}))
    costs = _costs(candidates, config)
    most = int(np.searchsorted(np.cumsum(np.sort(costs)), budget, side="right"))  # if it took the shortest

    def table(number: int) -> pl.DataFrame:
        return chooses.choose(candidates, config.model_copy(update={"budget": max(1, number)}))

    def takes(of: pl.DataFrame) -> int:
        return int(costs[of["selected"].to_numpy()].sum())

    if chooses.greedy:
        # What it takes first doesn't depend on how many it takes, so enough are taken and the last ones dropped.
        number = budget // max(1, int(costs.mean())) + 1 if len(costs) else 1
        while takes(tried := table(number)) <= budget and number < most:
            number = min(2 * number, most)
        return keep(tried, (), budget, costs).drop("must_keep")
    # Of n and of n + 1 examples it may take others: that n counts which is found to fit where n + 1 doesn't.
    low, high, found = 0, most + 1, None
    while high - low > 1:
        number = (low + high) // 2
        if takes(tried := table(number)) <= budget:
            low, found = number, tried
        else:
            high = number
    return found if found is not None else keep(table(1), (), 0, costs).drop("must_keep")
