"""Writes that a crash can't leave half done: a reader sees the old file or the new one, never a part.

What belongs to a copy of an object store (`host.mirror`) goes there first, and lies here afterwards.
"""

import glob
import os
import shutil
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from adg_pipeline.host.disk import disk_faults
from adg_pipeline.host.file_locks import FileLock
from adg_pipeline.host.mirror import mirror_around, mirror_of
from adg_pipeline.host.processes import is_alive

_HOST = socket.gethostname()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and put it in place.

    Raises StoreError that names the path where the disk is full or can't be written; the old file then stays.
    """
    temporary = _beside(path, "tmp")
    try:
        with disk_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            clear_leftovers(path)
            write(temporary)
            _flush(temporary)
            mirror = mirror_of(path)
            version = mirror.put(temporary, path) if mirror else ""
            temporary.replace(path)
            _flush(path.parent)
            if mirror:
                mirror.remember(path, version)
    except BaseException:
        # From a read-only disk nothing can be removed, and nothing was written to it.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def publish_directory(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` make a directory beside `path`, then swap it in. The one before is removed after the swap."""
    temporary, old = _beside(path, "tmp"), _beside(path, "old")
    try:
        with disk_faults(path):
            temporary.mkdir(parents=True)
            clear_leftovers(path)
            fill(temporary)
            for file in temporary.rglob("*"):
                _flush(file)
            swap_in(temporary, path, old)
    finally:
        # Where the second rename failed, the old directory goes back.
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def swap_in(made: Path, path: Path, old: Path) -> None:
    """Put a finished directory in the place of `path`, which becomes `old`. All three lie on one file system."""
    mirror = mirror_of(path)
    put = mirror.put_folder(made, path) if mirror else None
    if path.exists():
        path.rename(old)
    made.rename(path)
    _flush(path.parent)
    if mirror and put:
        mirror.remember_folder(path, put)


@contextmanager
def staging_directory(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what isn't finished yet; removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path)
    staging = _beside(path, "tmp")
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def clear_leftovers(path: Path) -> None:
    """Delete what a killed process left beside `path` on its way there. What a living one is filling stays."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*-*-*.*"):
        host, process, _ = leftover.name.removeprefix(f".{path.name}.").rsplit("-", 2)
        if leftover.suffix not in (".tmp", ".old") or host != _HOST or not process.isdigit() or is_alive(int(process)):
            continue
        if leftover.suffix == ".old" and not path.exists():
            leftover.rename(path)  # killed between the two renames of a swap
        elif leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _beside(path: Path, kind: str) -> Path:
    """A new hidden name in the same directory, which tells whose it is."""
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}.{kind}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file. The kernel frees it when the process dies, however it dies: no stale lock.

    In a copy of an object store, other hosts are locked out as well.
    """
    lock, mirror = FileLock(path), mirror_around(path)
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.take()
    try:
        with mirror.lease(path) if mirror and not mirror.is_local(path) else nullcontext():
            yield
    finally:
        lock.release()


def _flush(path: Path) -> None:
    """fsync a file or a directory: a rename may otherwise reach the disk before the bytes it names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
