"""Writes that a crash can't leave half done: a reader sees the old file or the new one, never a part."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adg_pipeline.errors import StoreError
from adg_pipeline.file_lock import FileLock


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and put it in place.

    Raises StoreError that names the path where the disk is full or can't be written; the old file then stays.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(
            f"{path}: can't be written ({error.strerror or error}); free space or permissions, then run again. "
            "What was there before is unharmed."
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def publish_directory(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` make a directory beside `path`, then swap it in. The one before is removed after the swap."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex}.old")
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        for file in temporary.rglob("*"):
            _flush(file)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        _flush(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: can't be written ({error.strerror or error}); free space or permissions, then run again."
        ) from error
    finally:
        # Where the second rename failed, the old directory goes back.
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file. The kernel frees it when the process dies, however it dies: no stale lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def _flush(path: Path) -> None:
    """fsync a file or a directory: a rename may otherwise reach the disk before the bytes it names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
