"""A lock on a file that dies with its holder: ``flock``, released by the kernel however the process ends.

On a network file system it holds between hosts where that system passes locks on: NFS does (unless mounted with nolock or
local_lock), Lustre if mounted with flock, BeeGFS with tuneUseGlobalFileLocks.
"""

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# Locks held by this process. flock belongs to the open file, which a forked child shares with its parent: a child
# that outlives its parent would go on holding the lock, were it not closed there. (Programs started with exec never
# get it: Python opens files with O_CLOEXEC.)
_held: set["FileLock"] = set()


def _forget_locks_of_parent() -> None:
    for lock in list(_held):
        lock.forget()


os.register_at_fork(after_in_child=_forget_locks_of_parent)


class FileLock:
    """An exclusive lock on a file of a local file system; the file's text says who holds it.

    The file stays when the lock is released: deleting it while others open it would let two of them hold "the" lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, wait: bool = True) -> bool:
        """Take the lock, if it isn't held here already; without ``wait``, return False if another holder has it."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held.add(self)
        # Only for whoever wonders who holds it: on a full disk the lock is held all the same.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        return True

    def holder(self) -> str:
        """Who took the lock last, in words; it may have been released since."""
        return self.path.read_text(encoding="utf-8") if self.path.exists() else "nobody"

    def release(self) -> None:
        """Give the lock back; nothing happens where it isn't held."""
        if self._descriptor is not None:
            # Unlocking, not only closing: a child that is just being forked may have a copy of the descriptor.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """Close this process's copy without unlocking: for a forked child, whose parent still holds the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _held.discard(self)

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()
