"""When to ask a server again."""

import email.utils
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015).

    attempts: of one request, the first included. base_seconds: longest wait after the first attempt; it doubles with
    each. cap_seconds: longest wait of all, also for a server that asks for a longer one.
    """

    attempts: int
    base_seconds: float = 0.5
    cap_seconds: float = 60.0

    def wait(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds to wait after ``attempt`` (from 1), at least ``retry_after`` if the server named one."""
        jitter = random.uniform(0, min(self.cap_seconds, self.base_seconds * 2.0 ** (attempt - 1)))
        return min(self.cap_seconds, (retry_after or 0.0) + jitter)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The server's Retry-After, given in seconds or as a date; None without a valid one."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
