"""What a selector takes and gives."""

from typing import Protocol

import polars as pl

from adg_pipeline.settings.sections import SelectionConfig


class Selector(Protocol):
    """Ranks the candidates and marks those that make the subset."""

    def __call__(self, candidates: pl.DataFrame, config: SelectionConfig) -> pl.DataFrame:
        """The columns of `adg_pipeline.algorithms.selection.rank_table`, one row per candidate, in the order given.

        ``score`` is the selector's own; the columns of bins are null where it doesn't use them. The result must not
        depend on the order of the rows.

        Args:
            candidates: columns example_id, source, dispersion, anisotropy, bin, output_chars; only examples that may be
                selected (see `adg_pipeline.algorithms.filters`).
            config: budget, and what else the selector reads of it.
        """
        ...
