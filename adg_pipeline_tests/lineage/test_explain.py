"""Why an example is in the subset or isn't, also of one that nobody knows or whose shard is gone."""

from pathlib import Path

import polars as pl
import pytest

from adg_pipeline.errors import PipelineError
from adg_pipeline.lineage.explain import explain_example
from adg_pipeline.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(data_dir=str(tmp_path / "data"))
    store.pool_dir.mkdir(parents=True)
    return store


def write_ranking(store: Store) -> None:
    folder = store.selection_dir("adg")
    folder.mkdir(parents=True)
    columns = {"bin": 0, "bin_rank": 1, "bin_size": 4, "bin_quota": 2, "rank": 1, "selected": True, "left_out": None}
    pl.DataFrame([{"example_id": "e1", "shard": "gone", **columns}]).write_parquet(folder / "ranking.parquet")


def test_an_unknown_id_before_the_pool_is_read_points_to_the_run(store: Store) -> None:
    with pytest.raises(PipelineError, match=r"no example 'e9': no shard of .*pool has been read yet; `adg run` reads"):
        explain_example(store, "e9", "adg")


def test_an_unknown_id_is_told_where_ids_stand(store: Store) -> None:
    write_ranking(store)
    (store.root / "raw_pool").mkdir()
    pl.DataFrame({"example_id": ["e2"]}).write_parquet(store.table_path("raw_pool", "a"))
    with pytest.raises(PipelineError, match=r"no example 'e9' in the 1 shards read so far .*ranking\.parquet"):
        explain_example(store, "e9", "adg")


def test_an_example_of_a_removed_shard_is_still_told_as_far_as_it_is_known(store: Store) -> None:
    write_ranking(store)
    explanation = explain_example(store, "e1", "adg")
    assert explanation["origin"]["shard"] == "gone"
    assert "left the pool" in explanation["origin"]["removed"]
    assert explanation["selection"]["verdict"] == "selected, number 1 of the subset: 1 of 4 in bin 0, whose quota is 2"
