"""Which content a pool file has: read only where its time changed, and then once."""

import os
from pathlib import Path

import pytest

from adg_pipeline.formats.shards import ShardFile, list_shards
from adg_pipeline.formats.staging import sha256_of
from adg_pipeline.store import versions
from adg_pipeline.store.provenance import Provenance, Recipe, make_provenance
from adg_pipeline.store.versions import known_version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pool" / "a.json"
    path.parent.mkdir()
    path.write_text("[1]")
    return path


def look(path: Path) -> ShardFile:
    return list_shards(path.parent).shards["a"]


def read(path: Path) -> Provenance:
    file = look(path)
    inputs = {"file": f"{file.size}-{file.mtime_ns}"}
    return make_provenance(Recipe("raw_pool", "1", {}), "a", inputs, 1, facts={"sha256": sha256_of(path)})


def test_the_same_bytes_at_another_time_are_what_was_read(path: Path, tmp_path: Path) -> None:
    stored = read(path)
    os.utime(path, (1, 1))
    assert known_version(look(path), stored, tmp_path / "memory") == stored.inputs["file"]


@pytest.mark.parametrize("text", ["[2]", "[1, 2]"])
def test_other_bytes_are_another_version(path: Path, tmp_path: Path, text: str) -> None:
    stored = read(path)
    path.write_text(text)
    os.utime(path, (1, 1))
    assert known_version(look(path), stored, tmp_path / "memory") != stored.inputs["file"]


def test_a_file_is_hashed_once_and_only_where_its_time_changed_and_its_size_did_not(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, hashed = read(path), []
    monkeypatch.setattr(versions, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    known_version(look(path), stored, tmp_path / "memory")
    assert hashed == []
    os.utime(path, (1, 1))
    for _ in range(3):
        versions._sha256.cache_clear()  # as another process would begin
        known_version(look(path), stored, tmp_path / "memory")
    assert hashed == [path]
    path.write_text("[1, 2]")
    known_version(look(path), stored, tmp_path / "memory")
    assert hashed == [path]


def test_a_line_that_was_cut_off_is_not_believed(path: Path, tmp_path: Path) -> None:
    stored = read(path)
    os.utime(path, (1, 1))
    known_version(look(path), stored, tmp_path / "memory")
    (tmp_path / "memory" / "a").write_text("3-1000")
    versions._sha256.cache_clear()
    assert known_version(look(path), stored, tmp_path / "memory") == stored.inputs["file"]
