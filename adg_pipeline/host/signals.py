"""Signals that end a command: none is lost, whoever handles it, and none comes in the middle of an import.

While it executes a job, Dagster has handlers of its own in place; a signal that comes between two of its steps is forgotten.

SIGINT and SIGTERM end the run at hand. SIGUSR1 is what a cluster sends some minutes before a job's time is over: what is
under way is brought to its end and kept, and nothing more is begun.
"""

import os
import signal
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ENDING = (signal.SIGINT, signal.SIGTERM)
SOON = signal.SIGUSR1

# Names a file that is made when SIGUSR1 comes: steps run in processes that the signal doesn't reach.
_SOON_FILE = "ADG_END_SOON"

_pipe: tuple[int, int] | None = None
_came: list[int] = []


@contextmanager
def signals_kept() -> Iterator[list[int]]:
    """Within, SIGTERM ends the command as Ctrl-C does, and `signal_that_came` knows of both. In the main thread only.

    Yields the list of those that came, complete at the end; `signal_that_came` forgets them then.
    """
    global _pipe
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    _pipe = os.pipe()
    for end in _pipe:
        os.set_blocking(end, False)
    # The interpreter writes the number of each signal there, whatever its handler does.
    before = signal.set_wakeup_fd(_pipe[1], warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _told_to_steps():
        try:
            yield came
        finally:
            signal.set_wakeup_fd(before)
            signal.signal(signal.SIGTERM, handler)
            signal_that_came()
            came.extend(_came)
            _came.clear()
            for end in _pipe:
                os.close(end)
            _pipe = None


@contextmanager
def _told_to_steps() -> Iterator[None]:
    """Until the block ends, SIGUSR1 makes a file, which the processes that are started meanwhile look for."""
    file = Path(os.environ.get("TMPDIR") or "/tmp") / f"adg-end-soon-{uuid.uuid4().hex}"

    def make(number: int, frame: object) -> None:
        with suppress(OSError):  # on a full disk this process knows all the same
            file.touch()

    handler = signal.signal(SOON, make)
    outer = os.environ.get(_SOON_FILE)
    os.environ[_SOON_FILE] = str(file)
    try:
        yield
    finally:
        os.environ.pop(_SOON_FILE) if outer is None else os.environ.update({_SOON_FILE: outer})
        signal.signal(SOON, handler)
        with suppress(OSError):
            file.unlink(missing_ok=True)


def signal_that_came() -> int | None:
    """The first signal that asked this command to end at once, or None."""
    if _pipe is not None:
        with suppress(BlockingIOError):
            _came.extend(number for number in os.read(_pipe[0], 4096) if number in (*ENDING, SOON))
    return next((number for number in _came if number in ENDING), None)


def nothing_more() -> bool:
    """Whether nothing more is to be begun: the command was asked to end, at once or soon. Also in a step's own process."""
    return signal_that_came() is not None or is_to_end_soon()


def is_to_end_soon() -> bool:
    """Whether SIGUSR1 has come, to this process or to the command that this step belongs to."""
    file = os.environ.get(_SOON_FILE)
    return SOON in _came or (file is not None and Path(file).exists())


def until_told(work: Iterable[T]) -> Iterator[T]:
    """The items, until nothing more is to be begun."""
    for item in work:
        if nothing_more():
            return
        yield item


@contextmanager
def signals_held() -> Iterator[None]:
    """Within, a signal waits: raised in the middle of importing a compiled library it can crash the interpreter."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.signal(number, lambda came, _: waiting.append(came)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])
