"""Signals that end a command: none is lost, whoever handles it, and none comes in the middle of an import.

While it executes a job, Dagster has handlers of its own in place; a signal that comes between two of its steps is forgotten.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ENDING = (signal.SIGINT, signal.SIGTERM)

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


def signal_that_came() -> int | None:
    """The first signal that asked this command to end, or None."""
    if _pipe is not None:
        with suppress(BlockingIOError):
            _came.extend(number for number in os.read(_pipe[0], 4096) if number in ENDING)
    return _came[0] if _came else None


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
