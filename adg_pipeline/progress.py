"""Progress: one line every few seconds for logs, since a bar would flood Dagster's event log; and, as it comes, to the
terminal of the command that started the run, wherever its steps run (see `adg_pipeline.orchestration.terminal`).
"""

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[int, int], None]

#: Environment variable that names the socket of the terminal that listens; steps' processes inherit it.
TERMINAL = "ADG_TERMINAL"

EVERY_SECONDS = 5.0  # between two lines of a log
_LOOK_SECONDS = 0.2  # between two looks that a rate is taken from
_WINDOW_SECONDS = 60.0  # that a rate is taken over: what happened an hour ago says little of what is left
_LONGEST = 40_000  # characters of a line: a datagram has an end, at some 200 kB

_lines = threading.local()


class ProgressLog:
    """Call it with (done, total); it writes a line with rate and time left, at most one every `every` seconds.

    The rate is that of the last minute. Make it when work begins: opening a model isn't work done.
    """

    def __init__(self, write: Callable[[str], None], what: str, unit: str, every: float = EVERY_SECONDS) -> None:
        self._write, self._what, self._unit, self._every = write, what, unit, every
        self._written = self._looked = time.monotonic()
        self._told = 0
        self._latest = (self._written, 0)
        self._looks = deque([self._latest])

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        is_look = now - self._looked >= _LOOK_SECONDS
        if is_look:
            self._looked = now
            # What was done before this call: where a batch's results come at once, the whole of the last batch.
            self._looks.append(self._latest)
            while len(self._looks) > 2 and now - self._looks[0][0] > _WINDOW_SECONDS:
                self._looks.popleft()
        self._latest = (now, done)
        if not is_look and done < total and (done - self._told) * 100 < total:
            return
        self._told = done
        since, before = self._looks[0]
        # The first of a batch's results says nothing yet.
        rate = None if done <= 1 else (done - before) / max(now - since, 1e-9)
        tell(bar=self._what, unit=self._unit, done=done, total=total, rate=rate)
        # The last one would only say what whoever asked for all of it says too.
        if rate is not None and now - self._written >= self._every and done < total:
            self._written = now
            with for_the_log():
                self._write(f"{self._what}: {described(done, total, self._unit, rate)}")


def described(done: int, total: int, unit: str, rate: float | None) -> str:
    """``1,200 of 5,000 answers (24%), 30.1/s, 126 s left``."""
    share = f" ({done / total:.0%})" if total else ""
    left = f", {duration((total - done) / rate)} left" if rate and total > done else ""
    return f"{done:,} of {total:,} {unit}{share}" + (f", {_per_time(rate)}{left}" if rate else "")


def _per_time(rate: float) -> str:
    """``30.1/s``, ``2.5/min``: in the unit that leaves digits to read."""
    for per_second, unit in ((1, "s"), (60, "min")):
        if rate * per_second >= 1:
            return f"{rate * per_second:,.1f}/{unit}"
    return f"{rate * 3600:,.1f}/h"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def tell(**what: Any) -> bool:
    """Tell the terminal that listens; False where none does. A line arrives for certain, a look at a bar may be lost."""
    address = os.environ.get(TERMINAL)
    if not address:
        return False
    if "line" in what:
        what["line"] = what["line"][:_LONGEST]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking("bar" not in what)
            sender.sendto(json.dumps(what, ensure_ascii=False).encode(errors="replace"), address)
    except BlockingIOError:
        return True
    except OSError:  # the command is gone: its steps are about to follow
        return False
    return True


@contextmanager
def for_the_log() -> Iterator[None]:
    """What is written within is for Dagster's log alone, since the terminal is told the same in its own way."""
    before = is_for_the_log()
    _lines.for_the_log = True
    try:
        yield
    finally:
        _lines.for_the_log = before


def is_for_the_log() -> bool:
    return getattr(_lines, "for_the_log", False)
