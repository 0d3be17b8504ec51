"""Subsets that were replaced, what of earlier runs is kept, and which subset is pinned."""

import hashlib
from pathlib import Path

import polars as pl
import pytest

from adg_pipeline.errors import StoreError
from adg_pipeline.host.files import publish_directory
from adg_pipeline.store import Store
from adg_pipeline.store.history import SubsetHistory
from adg_pipeline.store.selections import write_manifest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(data_dir=str(tmp_path))


def publish(store: Store, *ids: str, made_at: str) -> str:
    """Publish a subset as a selection does; its id."""
    history = store.subset_history("adg")

    def fill(folder: Path) -> None:
        pl.DataFrame({"example_id": list(ids)}).write_parquet(folder / "subset.parquet")
        sums = {"subset.parquet": hashlib.sha256((folder / "subset.parquet").read_bytes()).hexdigest()}
        write_manifest(folder, {"arm": "adg", "made_at": made_at, "files_sha256": sums})

    history.keep_current()
    publish_directory(store.selection_dir("adg"), fill)
    current = history.current()
    assert current is not None
    return current.id


def ids(history: SubsetHistory) -> list[str]:
    return [stored.id for stored in history.all()]


def test_a_replaced_subset_is_kept_whole_and_the_oldest_go_first(store: Store) -> None:
    history = store.subset_history("adg")
    made = [publish(store, f"x{number}", made_at=f"2026-01-0{number}") for number in (1, 2, 3, 4)]
    assert ids(history) == made[::-1]
    assert [stored.rows()["example_id"].to_list() for stored in history.all()] == [["x4"], ["x3"], ["x2"], ["x1"]]
    history.prune(2)
    assert ids(history) == [made[3], made[2], made[1]]
    history.prune(0)
    assert ids(history) == [made[3]]


def test_the_same_content_again_is_one_entry(store: Store) -> None:
    a = publish(store, "x", made_at="2026-01-01")
    b = publish(store, "y", made_at="2026-01-02")
    assert publish(store, "x", made_at="2026-01-03") == a
    assert ids(store.subset_history("adg")) == [a, b]


def test_a_restored_subset_is_current_and_the_one_in_its_place_is_kept(store: Store) -> None:
    history = store.subset_history("adg")
    old, new = publish(store, "x", made_at="2026-01-01"), publish(store, "y", made_at="2026-01-02")
    history.make_current(history.all()[1])
    assert ids(history) == [old, new]
    history.prune(1)
    assert ids(history) == [old, new]
    assert pl.read_parquet(store.selection_dir("adg") / "subset.parquet")["example_id"].to_list() == ["x"]


def test_a_damaged_subset_is_neither_kept_nor_restored(store: Store) -> None:
    history = store.subset_history("adg")
    publish(store, "x", made_at="2026-01-01")
    publish(store, "y", made_at="2026-01-02")
    old = history.all()[1]
    (old.directory / "subset.parquet").unlink()
    (old.directory / "subset.parquet").write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"subset\.parquet: damaged"):
        history.make_current(old)
    (store.selection_dir("adg") / "subset.parquet").unlink()
    publish(store, "z", made_at="2026-01-03")
    assert [stored.manifest["made_at"] for stored in history.all()] == ["2026-01-03", "2026-01-01"]


def test_a_deletion_that_was_cut_off_leaves_no_half_subset(store: Store) -> None:
    publish(store, "x", made_at="2026-01-01")
    publish(store, "y", made_at="2026-01-02")
    (store.subset_history("adg").all()[1].directory / "manifest.json").unlink()
    assert len(ids(store.subset_history("adg"))) == 1
    publish(store, "x", made_at="2026-01-03")
    publish(store, "z", made_at="2026-01-04")
    assert len(store.subset_history("adg").all()[1].rows()) == 1


def test_sections_are_kept_apart_and_a_pin_holds_for_its_subset_alone(store: Store) -> None:
    store.kept.keep("adg", ["selected_subset"], {"selected_subset.budget": {"value": 4}})
    store.kept.keep("adg", ["semantic_bins"], {"semantic_bins.bins": {"value": 2}})
    store.kept.keep("adg", ["selected_subset"], {})
    assert store.kept.of("adg") == {"semantic_bins.bins": {"value": 2}}
    assert store.kept.of("random") is None

    store.kept.pin("adg", publish(store, "x", made_at="2026-01-01"))
    assert store.is_pinned("adg")
    publish(store, "y", made_at="2026-01-02")
    assert not store.is_pinned("adg")


def test_a_damaged_record_is_named_with_its_mend(store: Store) -> None:
    (store.root / "kept_settings.json").write_text("[")
    with pytest.raises(StoreError, match=r"kept_settings\.json: damaged .* Delete it"):
        store.kept.of("adg")
