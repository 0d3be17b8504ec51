"""Examples at random: what any selection has to beat."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.draws import uniform_draws
from adg_pipeline.algorithms.selection import rank_table
from adg_pipeline.settings.sections import SelectionConfig


def select(candidates: pl.DataFrame, config: SelectionConfig) -> pl.DataFrame:
    """The examples with the largest draws. An example's draw is its own, so a growing pool replaces few of them."""
    draws = uniform_draws(candidates["example_id"], config.seed)
    table = rank_table(candidates["example_id"], draws, np.zeros(len(draws), dtype=np.int32), config.budget)
    unused = ("bin", "bin_rank", "bin_size", "bin_quota")
    return table.with_columns(pl.lit(None, dtype=table.schema[name]).alias(name) for name in unused)
