"""What a selection chooses from comes in one order, whatever the order of what is read."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.assets.candidates import id_order

KEYS = ["example_id", "content_hash", "shard"]
ROWS = st.lists(st.tuples(st.sampled_from("abcdé"), st.sampled_from("xy"), st.sampled_from("st")), max_size=25)


@given(ROWS)
def test_rows_come_by_id_then_content_then_shard(rows: list[tuple[str, str, str]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(KEYS, pl.String), orient="row")
    assert frame[id_order(frame)].rows() == sorted(rows)
