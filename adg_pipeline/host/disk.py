"""What a disk says that somebody has to mend: it is full, or may not be written to."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adg_pipeline.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NETWORK = {
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "beegfs_nodev", "ceph", "cifs", "smb3", "afs", "9p", "pvfs2", "wekafs",
    "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.ceph", "fuse.juicefs",
}  # fmt: skip
_LASTING = {*_FULL, errno.EROFS, errno.EACCES, errno.EPERM}


def system_fault(error: BaseException) -> OSError | None:
    """The operating system's error behind an exception, None if there is none.

    Libraries written in Rust (polars, LanceDB, safetensors) raise errors of their own, which end in "(os error 28)".
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error
    told = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(told[1]), os.strerror(int(told[1]))) if told else None


def disk_fault(path: Path, error: BaseException) -> StoreError | None:
    """The error to show where `path` can't be written because its disk is full or read-only; None for all others."""
    fault = system_fault(error)
    if fault is None or fault.errno not in _LASTING:
        return None
    mend = "free space" if fault.errno in _FULL else "make it writable"
    said = os.strerror(fault.errno)
    return StoreError(f"{path}: can't be written ({said}). What was there before is unharmed: {mend}, then run again.")


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Raise `disk_fault` for what a full or read-only disk makes of the block, which writes to `path`."""
    try:
        yield
    except Exception as error:
        fault = None if isinstance(error, StoreError) else disk_fault(path, error)
        if fault is None:
            raise
        raise fault from error


def network_filesystem(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Kind of the network file system that a path lies on, such as nfs4; None for a local one, and where nobody says."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = path.resolve()
    found: dict[Path, str] = {}
    for line in lines:
        _, folder, kind, *_ = line.split(" ")
        # Blanks in the name of a folder are written as octal numbers.
        mounted = Path(folder.replace("\\040", " "))
        if place.is_relative_to(mounted):
            found[mounted] = kind  # the last one mounted there is the one that is seen
    kind = found[max(found, key=lambda folder: len(folder.parts))] if found else ""
    return kind if kind in _NETWORK else None
