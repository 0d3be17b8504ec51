"""The paper's selection: within semantic bins, by the score of answer divergence."""

import polars as pl

from adg_pipeline.algorithms.divergence import adg_score
from adg_pipeline.algorithms.selection import rank_table
from adg_pipeline.settings.sections import SelectionConfig


def select(candidates: pl.DataFrame, config: SelectionConfig) -> pl.DataFrame:
    """From each bin its quota of the examples whose answers diverge most (or middling, or least: ``rank``)."""
    if config.quota == "released":
        # Its ties break by position; that must not be the position in which shards happened to be read.
        in_order = candidates.with_row_index("row").sort("example_id")
        return _rank(in_order, config).with_columns(in_order["row"]).sort("row").drop("row")
    return _rank(candidates, config)


def _rank(candidates: pl.DataFrame, config: SelectionConfig) -> pl.DataFrame:
    scores = adg_score(candidates["dispersion"].to_numpy(), candidates["anisotropy"].to_numpy(), config.weight)
    return rank_table(
        candidates["example_id"],
        scores,
        candidates["bin"].to_numpy(),
        config.budget,
        quota=config.quota,
        rank=config.rank,
    )
