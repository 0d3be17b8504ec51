"""Subsets that were replaced: each a folder named by its content, the oldest deleted first.

The files are hard links where the disk has them: a published file is never written to again, only replaced.
"""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from adg_pipeline.errors import StoreError
from adg_pipeline.host.files import publish_directory
from adg_pipeline.host.shared_files import folder_at_hand, names_in, remove_folder
from adg_pipeline.store.selections import arm_of, content_id, read_manifest, require_files


@dataclass(frozen=True)
class StoredSubset:
    """A subset that is current or was. made_at: ISO 8601, UTC."""

    id: str
    directory: Path
    manifest: dict[str, Any]
    made_at: str
    current: bool

    @property
    def arm(self) -> str:
        return arm_of(self.manifest)

    def require(self) -> None:
        """Raise StoreError, naming the file, where one isn't what was published."""
        require_files(self.directory, self.manifest["files_sha256"])

    def rows(self) -> pl.DataFrame:
        """Its examples, best first. Raises StoreError where it is damaged."""
        self.require()
        return pl.read_parquet(self.directory / "subset.parquet", glob=False)


class SubsetHistory:
    """The subset of one arm at hand (`current`), and those before it (folders in `directory`)."""

    def __init__(self, current: Path, directory: Path) -> None:
        self._current, self._directory = current, directory

    def current(self) -> StoredSubset | None:
        return _stored(self._current, current=True)

    def all(self) -> list[StoredSubset]:
        """The current one first, then the newest."""
        current = self.current()
        folders = [self._directory / name for name in names_in(self._directory, folders=True)]
        found = [stored for folder in folders if (stored := _stored(folder, current=False)) is not None]
        before = [stored for stored in found if current is None or stored.id != current.id]
        newest_first = sorted(before, key=lambda stored: (stored.made_at, stored.id), reverse=True)
        return [*([current] if current is not None else []), *newest_first]

    def keep_current(self) -> None:
        """Put the current subset beside those before it. What is damaged isn't kept."""
        stored = self.current()
        if stored is None or (folder_at_hand(self._directory / stored.id) / "manifest.json").exists():
            return
        try:
            stored.require()
        except StoreError:
            return
        publish_directory(self._directory / stored.id, lambda folder: _link(stored.directory, folder))

    def make_current(self, stored: StoredSubset) -> None:
        """Put a subset of the history in the current one's place, which joins the history."""
        stored.require()
        if not stored.current:
            self.keep_current()
            publish_directory(self._current, lambda folder: _link(stored.directory, folder))

    def prune(self, limit: int) -> None:
        """Delete all but the newest `limit` of those before the current one."""
        for old in [one for one in self.all() if not one.current][limit:]:
            (old.directory / "manifest.json").unlink()  # a folder without one counts as deleted, should this be killed
            remove_folder(old.directory)


def subset_learnt(history: SubsetHistory, drawn: Path, name: str) -> StoredSubset | None:
    """The subset of an id that a checkpoint learnt from, wherever it lies by now. drawn: where the draw of its seed lies."""
    everywhere = [*history.all(), *filter(None, [_stored(drawn, current=False)])]
    return next((stored for stored in everywhere if stored.id == name), None)


def _stored(directory: Path, *, current: bool) -> StoredSubset | None:
    manifest = read_manifest(directory)
    if manifest is None:
        return None
    # Subsets that were made before the manifest told its time.
    written = datetime.fromtimestamp((directory / "manifest.json").stat().st_mtime, UTC)
    made_at = manifest.get("made_at") or written.isoformat(timespec="seconds")
    return StoredSubset(content_id(manifest), directory, manifest, made_at, current)


def _link(source: Path, target: Path) -> None:
    for file in source.iterdir():
        try:
            os.link(file, target / file.name)
        except OSError:  # another disk, or one without hard links
            shutil.copy2(file, target / file.name)
