"""A step that waits for a place in a concurrency pool waits, and doesn't ask as fast as a core can.

Dagster's executors (1.13.29 and before) go round without a pause while all that is left of a run waits for a pool: the
multiprocess one has none, and the in-process one asks how long to sleep and is always told 0. With one GPU and four
runs, three of them took a core each, for as long as the first one sampled.
"""

import time
from functools import wraps
from typing import Any

from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

# Seconds between two looks. A run that waits for one step hears of what its other steps do no later than this.
PAUSE = 0.02


def wait_for_pools_idly() -> None:
    """Have each claim of a place that isn't given be followed by a pause, in every run of this process."""
    claim = InstanceConcurrencyContext.claim
    if hasattr(claim, "__wrapped__"):
        return

    @wraps(claim)
    def claim_or_pause(self: InstanceConcurrencyContext, *arguments: Any, **named: Any) -> bool:
        if claim(self, *arguments, **named):
            return True
        time.sleep(PAUSE)
        return False

    InstanceConcurrencyContext.claim = claim_or_pause  # type: ignore[method-assign]
