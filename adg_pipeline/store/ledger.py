"""The ledger: what is stored, of which recipe, from what, read at one look however many shards there are.

The tables' own footers are the truth; the ledger remembers what they say. A record belongs to one *version* of a file (its
size, time and inode), and counts only while that version lies there. So nobody has to keep the two in step: a look lists
the folders, takes what it has records of, and reads the footers of the others. A writer that is killed, a file that somebody
copies, truncates or deletes, a ledger that is lost: each costs the reading of the footers that are new, never a wrong answer.

A look that may write adds what it read in one small file. Files are merged as they add up, so that there are a handful of
them, and a record is written again a handful of times. None is ever changed, and their order doesn't matter: processes and
hosts that write at once need no lock, they only write some records twice.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from adg_pipeline.errors import StoreError
from adg_pipeline.host.mirror import mirror_of
from adg_pipeline.host.shared_files import remove, states_in
from adg_pipeline.progress import Progress
from adg_pipeline.store.ledger_files import Part, Records, part_paths, read_part, write_part
from adg_pipeline.store.provenance import Provenance

_AT_ONCE = 16  # requests to an object store
_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Shelf:
    """Where the stored files of an asset lie, one a shard.

    read: what a file tells of itself; None where it is gone, StoreError where it is damaged.
    """

    folder: Path
    suffix: str
    read: Callable[[Path], Provenance | None]

    def files(self) -> dict[str, str]:
        """Version of each file, by shard."""
        stored = states_in(self.folder)
        if stored is not None:
            of_shard = {
                name.removesuffix(self.suffix): told[2] for name, told in stored.items() if name.endswith(self.suffix)
            }
            return {shard: version for shard, version in of_shard.items() if not shard.startswith(".")}
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            return {
                entry.name[: -len(self.suffix)]: _version(status)
                for entry in entries
                if entry.name.endswith(self.suffix) and not entry.name.startswith(".") and (status := _status(entry))
            }
        return {}

    def path(self, shard: str) -> Path:
        return self.folder / f"{shard}{self.suffix}"


@dataclass(frozen=True)
class Look:
    """What was stored at one moment. The answers are those of `Store.provenance`, shard by shard."""

    found: Mapping[str, Mapping[str, Provenance | StoreError]]

    def provenance(self, asset: str, shard: str) -> Provenance | None:
        """What a stored shard was made from; None where it isn't stored. Raises StoreError where it is damaged."""
        stored = self.found[asset].get(shard)
        if isinstance(stored, StoreError):
            raise stored
        return stored

    def required(self, asset: str, shard: str) -> Provenance:
        """Likewise of what must be stored. Raises StoreError where it isn't."""
        stored = self.provenance(asset, shard)
        if stored is None:
            raise StoreError(f"{asset} of shard {shard} is missing: materialise it first")
        return stored

    def shards(self, asset: str) -> list[str]:
        """Shards of which the asset is stored, damaged or not, sorted."""
        return sorted(self.found[asset])

    @property
    def damages(self) -> list[StoreError]:
        return [
            stored for of_asset in self.found.values() for stored in of_asset.values() if isinstance(stored, StoreError)
        ]


@dataclass
class _Memory:
    """What this process has read, so that the next look needn't: the ledger's files, and footers that aren't in them."""

    parts: dict[str, Part] = field(default_factory=dict)
    known: Records = field(default_factory=dict)
    read: Records = field(default_factory=dict)
    damaged: list[Path] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Ledger:
    """The ledger in a directory, of the shelves of some assets."""

    def __init__(self, directory: Path, shelves: Mapping[str, Shelf]) -> None:
        self._directory, self._shelves = directory, shelves

    def look(self, *, keep: bool = False, progress: Progress | None = None) -> Look:
        """What is stored now.

        keep: add what had to be read from footers to the ledger; a disk that is full or read-only is no hindrance.
        progress: called with (footers read, footers to read).
        """
        memory = _memory(self._directory)
        with memory.lock:
            self._refresh(memory)
            listed = _each(Shelf.files, list(self._shelves.values()), self._directory)
            files = dict(zip(self._shelves, listed, strict=True))
            found, read = self._match(memory, files, progress)
            memory.read = read
            if keep and any(read.values()):
                with suppress(StoreError, OSError):
                    self._add(memory, files)
        return Look(found)

    def rebuild(self, progress: Progress | None = None) -> Look:
        """Forget the ledger, and make it anew from the footers."""
        for path in part_paths(self._directory).values():
            remove(path)
        _memory.cache_clear()
        return self.look(keep=True, progress=progress)

    def _refresh(self, memory: _Memory) -> None:
        """Read the files that came, forget those that went."""
        there = part_paths(self._directory)
        if there.keys() - {path.name for path in memory.damaged} == memory.parts.keys():
            return
        parts = {name: memory.parts.get(name) or read_part(path) for name, path in there.items()}
        memory.parts = {name: part for name, part in parts.items() if part is not None}
        memory.damaged = [there[name] for name, part in parts.items() if part is None]
        memory.known = _merged(memory.parts.values())

    def _match(
        self, memory: _Memory, files: Mapping[str, Mapping[str, str]], progress: Progress | None
    ) -> tuple[dict[str, dict[str, Provenance | StoreError]], Records]:
        """What is stored, and of it what is in no file of the ledger."""
        found: dict[str, dict[str, Provenance | StoreError]] = {}
        read: Records = {asset: {} for asset in files}
        unread: list[tuple[str, str]] = []
        for asset, versions in files.items():
            known, before = memory.known.get(asset, {}), memory.read.get(asset, {})
            of_asset = found[asset] = {}
            for key in versions.items():
                if (stored := known.get(key)) is not None:
                    of_asset[key[0]] = stored
                elif (stored := before.get(key)) is not None:
                    of_asset[key[0]] = read[asset][key] = stored
                else:
                    unread.append((asset, key[0]))
        if progress is not None and unread:
            progress(0, len(unread))
        for done, ((asset, shard), version, told) in enumerate(_each(self._read, unread, self._directory), start=1):
            if progress is not None:
                progress(done, len(unread))
            if told is None:
                continue
            found[asset][shard] = told
            # What is damaged is read at each look, and so is one that was renamed by hand, which tells of another place.
            if isinstance(told, Provenance) and version and (told.asset, told.shard) == (asset, shard):
                read[asset][shard, version] = told
        return found, read

    def _read(self, key: tuple[str, str]) -> tuple[tuple[str, str], str | None, Provenance | StoreError | None]:
        """What a file tells of itself, and the version that told it."""
        asset, shard = key
        path = self._shelves[asset].path(shard)
        # Before it is read: one that is replaced meanwhile is remembered, if at all, as a version that is gone.
        version = _version_of(path)
        try:
            return key, version, self._shelves[asset].read(path)
        except StoreError as error:
            return key, version, error

    def _add(self, memory: _Memory, files: Mapping[str, Mapping[str, str]]) -> None:
        """Write what was read as a file, together with the files that aren't much larger than that."""
        count = sum(map(len, memory.read.values()))
        stored = sum(map(len, files.values()))
        mostly_dead = sum(map(len, memory.parts.values())) > 2 * stored
        merged: list[Part] = []
        for part in sorted(memory.parts.values(), key=len):
            if len(part) > 2 * count and not mostly_dead:
                break
            merged.append(part)
            count += len(part)
        records = _merged(merged)
        for asset, of_asset in memory.read.items():
            records.setdefault(asset, {}).update(of_asset)
        alive: Records = {
            asset: {key: one for key, one in of_asset.items() if files[asset].get(key[0]) == key[1]}
            for asset, of_asset in records.items()
            if asset in files
        }
        part = write_part(self._directory, alive)
        for path in [*memory.damaged, *(old.path for old in merged)]:
            remove(path)
            memory.parts.pop(path.name, None)
        memory.parts[part.path.name] = part
        memory.known, memory.read = _merged(memory.parts.values()), {}


@lru_cache(maxsize=4)
def _memory(directory: Path) -> _Memory:
    return _Memory()


def _merged(parts: Iterable[Part]) -> Records:
    records: Records = {}
    for part in parts:
        for asset, of_asset in part.records.items():
            records.setdefault(asset, {}).update(of_asset)
    return records


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:  # it went between listing and looking
        return None


def _each(do: Callable[[_Item], _Found], items: Sequence[_Item], directory: Path) -> Iterator[_Found]:
    """What is done with each item, in their order. In an object store side by side: each takes a request."""
    if mirror_of(directory) is None:
        yield from map(do, items)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(do, items)


def _version_of(path: Path) -> str | None:
    if mirror := mirror_of(path):
        return mirror.version_of(path)
    try:
        return _version(path.stat())
    except OSError:
        return None


def _version(status: os.stat_result) -> str:
    """Differs for two files that lay at one place one after the other: a file is put in its place beside the one before it,
    so that their inodes differ even where their times don't."""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
