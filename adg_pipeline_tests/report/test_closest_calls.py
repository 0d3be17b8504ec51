"""Which choices a little would have changed."""

import polars as pl

from adg_pipeline.report.describe import closest_calls

ROWS = {
    "example_id": ["a", "b", "c", "d", "e", "gone"],
    "bin": [0, 0, 0, 1, 1, 0],
    "bin_rank": [1, 2, 3, 1, 2, None],
    "score": [0.9, 0.5, 0.1, 0.7, 0.69, None],
    "selected": [True, False, False, True, False, False],
    "left_out": [None, None, None, None, None, "its answer is empty"],
    "source": ["s"] * 6,
    "jackknife": [5, 1, 0, 3, 2, None],
}


def test_an_example_is_as_close_as_its_bins_nearest_on_the_other_side() -> None:
    found = closest_calls(pl.DataFrame(ROWS))
    assert found["example_id"].to_list() == ["d", "e", "a", "b", "c"]
    assert found["nearest_on_the_other_side"].to_list() == [0.69, 0.7, 0.5, 0.9, 0.9]
    assert found["in_jackknife"].to_list() == [3, 2, 5, 1, 0]


def test_where_bins_decided_nothing_the_pool_is_the_bin() -> None:
    rows = pl.DataFrame(ROWS).with_columns(pl.lit(None, dtype=pl.Int64).alias("bin_rank"))
    assert closest_calls(rows)["nearest_on_the_other_side"].to_list() == [0.69, 0.7, 0.7, 0.69, 0.7]
