"""What a disk says that somebody has to mend: it is full, or may not be written to."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adg_pipeline.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT}
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
