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
        if unknown := sorted(set(named) - set(by_source)):
            known = ", ".join(f"{name} ({count:,})" for name, count in by_source.items())
            raise SettingsError(
                f"selected_subset.{key}: no example that can be selected is of {unknown[0]}; there are {known}"
            )
    parts = []
    for name, quota in config.source_quotas.items():
        if quota > by_source[name]:
            raise SettingsError(
                f"selected_subset.source_quotas asks for {quota:,} of {name}, and {by_source[name]:,} of it can be selected: "
                "lower it, or leave less out"
            )
        parts.append(Part(name, np.flatnonzero(sources == name), quota))
    rest = whole - sum(config.source_quotas.values())
    if not config.source_weights:
        others = np.flatnonzero(~np.isin(sources, list(config.source_quotas)))
        return [*parts, *([Part(OTHERS, others, rest)] if len(others) and rest else [])]
    names = sorted(config.source_weights)
    rows = [np.flatnonzero(sources == name) for name in names]
    weights = [max(1, round(config.source_weights[name] * WEIGHT_UNITS)) for name in names]
    may = frame["may"].to_numpy()
    costs = _costs(candidates, config)
    most = [int(costs[of_one][may[of_one]].sum()) for of_one in rows]
    shares = largest_remainder(weights, rest, most)
    return [*parts, *(Part(*of_one) for of_one in zip(names, rows, map(int, shares), strict=True))]


def choose(candidates: Candidates, config: SelectionConfig, parts: Sequence[Part]) -> pl.DataFrame:
    """The arm's table (`Selector.choose`) under the parts' budgets; positions of parts are dealt into each other, so that the
    beginning of a subset has them in proportion."""
    if len(parts) == 1 and len(parts[0].rows) == candidates.frame.height:
        return _fitting(candidates, config, parts[0].budget)
    tables = []
    for number, part in enumerate(parts):
        if not part.budget:
            continue
        table = _fitting(candidates.take(part.rows), config, part.budget)
        taken = max(1, int(table["selected"].sum()))
        tables.append(
            table.with_columns(
                row=pl.Series(part.rows), turn=(pl.col("position") - 0.5) / taken, part=pl.lit(number, pl.Int32)
            )
        )
    left = np.setdiff1d(
        np.arange(candidates.frame.height), np.concatenate([part.rows for part in parts if part.budget])
    )
    ids = candidates.frame[left]["example_id"]
    nothing = pl.DataFrame({"example_id": ids, "row": left}).with_columns(
        selected=pl.lit(False), left_out=pl.lit(NO_SHARE)
    )
    whole = pl.concat([*tables, nothing], how="diagonal_relaxed")
    return in_turns(whole.sort("row"), ["turn", "part"]).drop("row", "turn", "part")


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

    if len(parts) == 1 and len(parts[0].rows) == places.height:
        return kept(parts[0])
    given = [part for part in parts if part.budget]
    left = np.setdiff1d(np.arange(places.height), np.concatenate([part.rows for part in given]))
    tables = []
    for number, part in enumerate([*given, Part(NO_SHARE, left, 0)]):
        table = kept(part)
        first = int((table["selected"] & table["must_keep"]).sum())
        others = max(1, int(table["selected"].sum()) - first)
        turn = (pl.col("position") - first - 0.5) / others
        tables.append(
            table.with_columns(
                row=pl.Series(np.asarray(part.rows)),
                turn=pl.when("must_keep").then(pl.col("position") - 1e9).otherwise(turn),
                part=pl.lit(number),
            )
        )
    return in_turns(pl.concat(tables, how="diagonal_relaxed").sort("row"), ["turn", "part"]).drop("row", "turn", "part")


def in_turns(table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The table with positions from 1 in that order of its selected rows."""
    order = table.with_row_index("at").filter("selected").sort(*by).select("at").with_row_index("now", offset=1)
    numbered = table.with_row_index("at").join(order, on="at", how="left", maintain_order="left")
    return numbered.with_columns(position=pl.col("now").cast(pl.Int32)).drop("at", "now")


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
