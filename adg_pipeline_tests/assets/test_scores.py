"""Answers that the embedder doesn't tell apart are counted, and stop the shard where they are many."""

import polars as pl
import pytest

from adg_pipeline.assets.scores import _check, _facts
from adg_pipeline.errors import ShardFault


def scored(*rows: tuple[bool, float | None]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"differ": pl.Boolean, "dispersion": pl.Float64}, orient="row")
    ids = pl.Series("example_id", [f"x{row}" for row in range(len(rows))])
    return frame.with_columns(ids, anisotropy=pl.lit(0.0), modes=pl.lit(1))


def test_examples_whose_answers_differ_and_yet_have_no_dispersion_are_counted() -> None:
    facts = _facts(scored((True, 0.0), (False, 0.0), (True, 0.3), (True, None)))
    assert (facts["indistinct"], facts["zero_dispersion"], facts["scored"]) == (1, 2, 3)


def test_too_many_of_them_stop_the_shard_naming_the_setting_and_the_mend() -> None:
    table = scored(*[(True, 0.3)] * 7, *[(True, 0.0)] * 3)
    _check(_facts(table), table, 0.3)
    with pytest.raises(ShardFault, match=r"3 of 10 .*max_indistinct_share = 0.2 .* x7.*embeddings.model"):
        _check(_facts(table), table, 0.2)
