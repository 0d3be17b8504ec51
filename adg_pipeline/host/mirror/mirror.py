"""A working copy of a bucket in a local folder.

A file is one object of the same name. A folder that is published as a whole is a *pointer*, one small object that names the
files and their checksums, and these files below a prefix named by their content: so a reader finds the old folder or the new
one, and what a crash leaves is below a prefix that nothing points to.

What the copy has of the bucket is remembered beside it, so that what hasn't changed isn't fetched again.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from adg_pipeline.errors import StoreError
from adg_pipeline.host.mirror.bucket import Bucket, Object, Same, Taken
from adg_pipeline.host.mirror.leases import lease, require_held
from adg_pipeline.host.processes import is_alive

MARKER, VERSIONS, FETCHING, POINTER = ".mirror.json", ".versions", ".fetching", "_published.json"
# What only serves this host, and can be made again. Hidden files are not finished, or locks; but for these, of the pool.
LOCAL = (("duplicates",), ("plans",), ("raw_pool", "versions"))
SHARED_HIDDEN = (".origins", ".rejects")
_AT_ONCE = 16  # files that are fetched side by side
_MANY = 8  # files from which on a folder is listed, instead of asking for each
_AT_FIRST = 20.0  # seconds after which a store that never answered is told to be out of reach
_KEEP = timedelta(days=1)  # of folders that were replaced: somebody may be reading them


class Mirror:
    """The copy in `root`. Methods take paths in it."""

    def __init__(self, root: Path, bucket: Bucket, owner: str) -> None:
        self.root, self.bucket, self._owner = root, bucket, owner

    def covers(self, path: Path) -> bool:
        """Whether a path has its counterpart in the bucket; not what is unfinished, or of use to this host alone."""
        hidden = (part.startswith(".") and part not in SHARED_HIDDEN for part in path.relative_to(self.root).parts)
        return not self.is_local(path) and not any(hidden)

    def is_local(self, path: Path) -> bool:
        """Whether what lies there serves this host alone."""
        parts = path.relative_to(self.root).parts
        return any(parts[: len(local)] == local for local in LOCAL)

    # Files.

    def pull(self, path: Path) -> None:
        """Make the local file what the bucket has; delete it where the bucket has none."""
        known = self._known(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary() as temporary:
            with temporary.open("wb") as file:
                version = self.bucket.download(self._key(path), file, unless=known)
            if isinstance(version, Same):
                return
            if version is None:
                self._forget(path)
                return
            temporary.replace(path)
        self.remember(path, version)

    def pull_all(self, paths: Sequence[Path]) -> None:
        """Likewise of many, side by side."""
        paths = list(dict.fromkeys(paths))
        if len(paths) > _MANY:
            listed: dict[Path, str] = {}
            for folder in {path.parent for path in paths}:
                listed |= {self.root / found.key: found.version for found in self.bucket.inside(self._key(folder))[0]}
            paths = [path for path in paths if listed.get(path) != self._known(path) or path not in listed]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self.pull, paths):
                pass

    def pull_listed(self, path: Path, changed_ns: int) -> None:
        """Fetch a file as it was listed, so that its time is the listed one; if it is another by now, it has another time."""
        self.pull(path)
        known = self._known(path)
        if known is not None and changed_ns % 10**9 == _nanoseconds(known):
            os.utime(path, ns=(changed_ns, changed_ns))
            self.remember(path, known)

    def version_of(self, path: Path) -> str | None:
        """The version that the bucket has now; None where it has none."""
        return self.bucket.version(self._key(path))

    def put(self, made: Path, path: Path) -> str:
        """Put a finished file into the bucket as `path`; its version, to be remembered once it lies there locally too."""
        require_held()
        return self.bucket.put(self._key(path), made).tag

    def remove(self, path: Path) -> None:
        """Delete a file from the bucket, then here."""
        require_held()
        self.bucket.delete(self._key(path))
        self._forget(path)

    def end_of(self, path: Path, size: int) -> bytes | None:
        """The last bytes of a file, without fetching it; None where there is none."""
        return self.bucket.end(self._key(path), size)

    # Folders that are published as a whole.

    def pull_folder(self, path: Path, largest: int | None = None) -> None:
        """Make a published folder what the bucket has. largest: bytes from which on a file is left where it is."""
        pointer = self._pointer(path)
        known = self._known(pointer)
        found = self.bucket.get(self._key(pointer), unless=known)
        if found is None:
            self._forget_folder(path)
            return
        if isinstance(found, Same):
            text, tag = self._place(pointer).read_bytes(), str(known)
        else:
            text, tag = found[0], found[1].tag
        told = json.loads(text)
        names = [name for name, file in told["files"].items() if largest is None or file["bytes"] <= largest]
        if tag == known and all((path / name).is_file() for name in names):
            return
        with self._temporary() as temporary, self._temporary() as old:
            temporary.mkdir()

            def fetch(name: str) -> None:
                key, sha256 = f"{self._key(path)}/{told['content']}/{name}", told["files"][name]["sha256"]
                place = temporary / name
                place.parent.mkdir(parents=True, exist_ok=True)
                if (path / name).is_file() and _sha256(path / name) == sha256:
                    os.link(path / name, place)
                    return
                with place.open("wb") as file:
                    there = self.bucket.download(key, file) is not None
                if not there or _sha256(place) != sha256:
                    raise StoreError(
                        f"{self.bucket.url}/{key}: missing, or not what {POINTER} beside its folder names. Delete "
                        f"{self.bucket.url}/{self._key(path)}, then run again: it is made anew"
                    )

            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for _ in pool.map(fetch, names):
                    pass
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                path.rename(old)
            temporary.rename(path)
        self._remember_pointer(path, text, tag)

    def put_folder(self, made: Path, path: Path) -> tuple[bytes, str]:
        """Put a finished folder into the bucket as `path`; what `remember_folder` is to be told of it."""
        require_held()
        names = sorted(str(file.relative_to(made)) for file in made.rglob("*") if file.is_file())
        files = {name: {"sha256": _sha256(made / name), "bytes": (made / name).stat().st_size} for name in names}
        content = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
        key, pointer = self._key(path), self._key(self._pointer(path))
        while True:
            before = self.bucket.get(pointer)
            assert not isinstance(before, Same)
            replaced = None if before is None else json.loads(before[0])["content"]
            if replaced != content:
                for name in names:
                    self.bucket.put(f"{key}/{content}/{name}", made / name)
            text = json.dumps({"content": content, "files": files, "put": uuid.uuid4().hex}, indent=1).encode()
            require_held()
            try:
                version = self.bucket.put(
                    pointer, text, new=before is None, instead_of=None if before is None else before[1]
                )
            except Taken:
                continue
            self._clear_replaced(key, {content, str(replaced)})
            return text, version.tag

    def remember_folder(self, path: Path, put: tuple[bytes, str]) -> None:
        self._remember_pointer(path, *put)

    def remove_folder(self, path: Path) -> None:
        """Delete a published folder, its pointer first: without one it counts as deleted."""
        require_held()
        self.bucket.delete(self._key(self._pointer(path)))
        self.bucket.delete(*(found.key for found in self.bucket.below(self._key(path))))
        self._forget_folder(path)

    def remove_all(self, path: Path) -> bool:
        """Delete from the bucket a file, or all that lies in a folder; whether there was anything."""
        key = self._key(path)
        keys = [found.key for found in self.bucket.below(key)]
        keys += [key] if self.bucket.version(key) is not None else []
        self.bucket.delete(*keys)
        return bool(keys)

    # Looking around.

    def files(self, folder: Path) -> dict[str, Object]:
        """Files that the bucket has right inside a folder, by name."""
        found, _ = self.bucket.inside(self._key(folder))
        return {name: one for one in found if (name := one.key.rpartition("/")[2]) != POINTER}

    def folders(self, folder: Path) -> list[str]:
        """Names of folders that the bucket has in a folder."""
        return sorted(self.bucket.inside(self._key(folder))[1])

    def pull_tree(self, folder: Path) -> None:
        """Fetch all that lies in a folder, published folders in it included."""
        for name in self.folders(folder):
            inside = folder / name
            if self.bucket.get(self._key(self._pointer(inside))) is None:
                self.pull_tree(inside)
            else:
                self.pull_folder(inside)
        self.pull_all([folder / name for name in self.files(folder)])

    # Lines that are added one by one.

    def put_lines(self, path: Path, lines: bytes) -> None:
        """Add lines to those of `path`: an object of their own, since none can be added to."""
        require_held()
        self.bucket.put(f"{self._key(path)}.parts/{uuid.uuid4().hex}", lines)

    def lines(self, path: Path) -> list[bytes]:
        """All lines that were added, in no order."""
        keys = [found.key for found in self.bucket.below(f"{self._key(path)}.parts")]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [part for part in pool.map(self.bucket.get, keys) if isinstance(part, tuple)]
        return [line for text, _ in found for line in text.splitlines(keepends=True)]

    def remove_lines(self, path: Path) -> None:
        self.bucket.delete(*(found.key for found in self.bucket.below(f"{self._key(path)}.parts")))

    def with_lines(self, folder: Path) -> list[str]:
        """Names of files in a folder that lines were added to."""
        return [name.removesuffix(".parts") for name in self.folders(folder) if name.endswith(".parts")]

    def forget_older(self, folder: Path, seconds: float) -> None:
        """Delete what was put into a folder before a time, in seconds since the epoch."""
        found = self.bucket.below(self._key(folder))
        self.bucket.delete(*(one.key for one in found if one.changed.timestamp() < seconds))

    @contextmanager
    def lease(self, path: Path) -> Iterator[None]:
        """Hold what a lock file stands for among all hosts; this host's processes take turns by the file before."""
        with lease(self.bucket, self._key(path), self._owner):
            yield

    def _key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _pointer(self, folder: Path) -> Path:
        """Its local copy lies with what is remembered: the folder holds what was published and nothing else."""
        return folder / POINTER

    def _note(self, path: Path) -> Path:
        return self.root / VERSIONS / path.relative_to(self.root)

    def _known(self, path: Path) -> str | None:
        """Version that the local file is of; None where it isn't known, or the file is another by now."""
        try:
            version, state = self._note(path).read_text("utf-8").split("\n")
            return version if state == _state(self._place(path)) else None
        except (OSError, ValueError):
            return None

    def _place(self, path: Path) -> Path:
        return self._note(path).with_name(f"{POINTER}.copy") if path.name == POINTER else path

    def remember(self, path: Path, version: str) -> None:
        """The local file is that version of its object."""
        note = self._note(path)
        note.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), self._temporary() as temporary:  # it was replaced or deleted meanwhile
            temporary.write_text(f"{version}\n{_state(self._place(path))}", "utf-8")
            temporary.replace(note)

    def _forget(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._note(path).unlink(missing_ok=True)

    def _remember_pointer(self, folder: Path, text: bytes, version: str) -> None:
        pointer = self._pointer(folder)
        copy = self._place(pointer)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary() as temporary:
            temporary.write_bytes(text)
            temporary.replace(copy)
        self.remember(pointer, version)

    def _forget_folder(self, path: Path) -> None:
        pointer = self._pointer(path)
        if self._place(pointer).exists():
            shutil.rmtree(path, ignore_errors=True)
            self._place(pointer).unlink(missing_ok=True)
            self._note(pointer).unlink(missing_ok=True)

    def _clear_replaced(self, key: str, keep: Iterable[str]) -> None:
        """Delete the files of folders that were replaced, but for the last one, which somebody may be reading."""
        kept = tuple(f"{key}/{content}/" for content in keep)
        old = datetime.now(UTC) - _KEEP
        self.bucket.delete(
            *(
                found.key
                for found in self.bucket.below(key)
                if found.changed < old and not found.key.startswith(kept) and not found.key.endswith(POINTER)
            )
        )

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """A place that isn't there yet, on the copy's own disk."""
        place = self.root / FETCHING / f"{os.getpid()}-{uuid.uuid4().hex}"
        place.parent.mkdir(exist_ok=True)
        try:
            yield place
        finally:
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)


def open_mirror(url: str, root: Path) -> Mirror:
    """The copy of a bucket in `root`, which is made if need be. Raises StoreError for a store that can't be used so."""
    url, marker = url.rstrip("/"), root / MARKER
    if not marker.exists():
        Bucket(url, patience=_AT_FIRST).require_conditions()
        root.mkdir(parents=True, exist_ok=True)
        beginning = root / f"{MARKER}.{uuid.uuid4().hex}"
        beginning.write_text(json.dumps({"url": url, "owner": uuid.uuid4().hex}), "utf-8")
        with suppress(FileExistsError):
            os.link(beginning, marker)  # of two processes that begin, one names the copy
        beginning.unlink()
    mirror = _mirror(root)
    if mirror.bucket.url != url:
        raise StoreError(
            f"{root}: is a copy of {mirror.bucket.url}, not of {url}: name another folder in ADG_SCRATCH_DIR"
        )
    return mirror


def mirror_of(path: Path) -> Mirror | None:
    """The mirror that a path is part of; None for one that is of this machine alone."""
    mirror = mirror_around(path)
    return mirror if mirror is not None and mirror.covers(path) else None


def mirror_around(path: Path) -> Mirror | None:
    """The mirror in whose folder a path lies."""
    return next((_mirror(folder) for folder in path.parents if (folder / MARKER).exists()), None)


@lru_cache(maxsize=8)
def _mirror(root: Path) -> Mirror:
    told = json.loads((root / MARKER).read_text("utf-8"))
    for left in (root / FETCHING).glob("*-*"):
        if not is_alive(int(left.name.partition("-")[0])):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return Mirror(root, Bucket(told["url"]), told["owner"])


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nanoseconds(version: str) -> int:
    """A part of a second that tells one version of an object from another, since a store's clock shows whole seconds."""
    return int(hashlib.sha256(version.encode()).hexdigest()[:12], 16) % 10**9


def changed_ns(found: Object) -> int:
    """When an object was put, in nanoseconds since the epoch; the part of the second tells its version."""
    return int(found.changed.timestamp()) * 10**9 + _nanoseconds(found.version)
