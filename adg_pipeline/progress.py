"""Progress for logs: one line every few seconds, since a bar would flood Dagster's event log."""

import time
from collections.abc import Callable

Progress = Callable[[int, int], None]


class ProgressLog:
    """Call it with (done, total); it writes a line with rate and time left, at most one every `every` seconds.

    Make it when the work begins: the rate is what was done since then.
    """

    def __init__(self, write: Callable[[str], None], what: str, unit: str, every: float = 5.0) -> None:
        self._write, self._what, self._unit, self._every = write, what, unit, every
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        rate = done / max(now - self._started, 1e-9)
        left = f", {duration((total - done) / rate)} left" if rate > 0 and total > done else ""
        share = f" ({done / total:.0%})" if total else ""
        self._write(f"{self._what}: {done:,} of {total:,} {self._unit}{share}, {rate:,.1f}/s{left}")


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
