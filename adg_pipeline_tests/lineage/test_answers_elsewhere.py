"""Where answers may be looked for: in shards that are about to lose them, and only there."""

from pathlib import Path

import pyarrow as pa
import pytest

from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.states import answers_elsewhere
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe, make_provenance


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three shards with answers, all up to date."""
    store = Store(data_dir=str(tmp_path))
    store.pool_dir.mkdir()
    for shard in "abc":
        (store.pool_dir / f"{shard}.jsonl").write_text(shard)
        read(store, shard)
        answered = make_provenance(Recipe("generations", "1", {}), shard, {"raw_pool": shard}, 0)
        store.write_table(pa.table({"x": [1]}), answered)
    return store


def read(store: Store, shard: str, content: str | None = None) -> None:
    inputs = {"file": store.file_version(shard, list_shards(store.pool_dir).shards[shard])}
    recipe = Recipe("raw_pool", "1", {})
    store.write_table(pa.table({"x": [1]}), make_provenance(recipe, shard, inputs, 0, content=content or shard))


def places(store: Store) -> list[str]:
    return [path.name for path in answers_elsewhere(store, list_shards(store.pool_dir))]


def test_a_shard_that_is_up_to_date_keeps_its_answers(store: Store) -> None:
    assert places(store) == []


def test_a_shard_whose_file_is_gone_or_has_changed_is_a_place_to_look(store: Store) -> None:
    (store.pool_dir / "a.jsonl").unlink()
    (store.pool_dir / "b.jsonl").write_text("other")
    assert places(store) == ["a.parquet", "b.parquet"]


def test_a_shard_that_was_read_anew_is_one_until_its_answers_are_made_anew(store: Store) -> None:
    (store.pool_dir / "c.jsonl").write_text("other")
    read(store, "c", content="other")
    assert places(store) == ["c.parquet"]


def test_unfinished_answers_of_a_shard_that_went_away_are_found(store: Store) -> None:
    journal = store.journal_path("gone")
    journal.parent.mkdir(parents=True)
    journal.write_text("")
    assert places(store) == ["gone.jsonl"]


def test_what_a_removed_shard_had_is_kept(store: Store) -> None:
    store.journal_path("a").parent.mkdir(parents=True)
    store.journal_path("a").write_text("")
    store.remove_shard("a")
    assert {path.suffix for path in store.kept_answers.files()} == {".jsonl", ".parquet"}
