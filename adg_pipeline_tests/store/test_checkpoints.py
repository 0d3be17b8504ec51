"""Checkpoints by arm and seed, and the one of before seeds had folders."""

import json
from pathlib import Path

import pytest

from adg_pipeline.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(data_dir=str(tmp_path))


def publish(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    (folder / "training_manifest.json").write_text(json.dumps({"seed": seed}))


def test_seeds_of_an_arm_lie_side_by_side(store: Store) -> None:
    for seed in (0, 42):
        publish(store.new_checkpoint_dir("adg", seed), seed)
    assert store.trained_seeds("adg") == [0, 42]
    assert store.trained_seeds("random") == []


def test_a_checkpoint_of_before_is_read_where_it_lies_and_moved_by_the_next_training(store: Store) -> None:
    flat = store.root / "checkpoints" / "adg"
    publish(flat, 42)
    unfinished = flat.with_name(".adg.work-0123")
    unfinished.mkdir()
    assert store.trained_seeds("adg") == [42]
    assert store.checkpoint_dir("adg", 42) == flat
    assert store.checkpoint_dir("adg", 7) == flat / "7"

    assert store.new_checkpoint_dir("adg", 7) == flat / "7"
    assert store.checkpoint_dir("adg", 42) == flat / "42"
    assert (flat / ".7.work-0123").is_dir()
    assert store.trained_seeds("adg") == [42]
    assert [path.name for path in flat.parent.iterdir()] == ["adg"]


def test_a_move_that_a_crash_interrupted_is_ended_by_the_next_training(store: Store) -> None:
    publish(store.root / "checkpoints" / ".adg.flat", 42)
    assert store.trained_seeds("adg") == []
    store.new_checkpoint_dir("adg", 42)
    assert store.trained_seeds("adg") == [42]
