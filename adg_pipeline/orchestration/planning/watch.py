"""A watch on the stages of a sample: how fast each was, and what opening its model took."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from adg_pipeline.algorithms.costs import Rate
from adg_pipeline.orchestration.planning.stored import gpus_of

T = TypeVar("T")


@dataclass
class Watch:
    """Seconds and units of each stage."""

    rates: dict[str, Rate] = field(default_factory=dict)
    opening: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)

    def note(
        self, stage: str, units: float, seconds: float, hardware: str, opened_by: str = "", of_shard: float = 0.0
    ) -> None:
        """opened_by: the stage whose opening it pays. of_shard: seconds that a shard takes beside its units."""
        if units > 0 and seconds > 0:
            self.rates[stage] = Rate(
                per_second=units / seconds,
                open_seconds=round(self.opening.get(opened_by, 0.0), 3),
                shard_seconds=round(of_shard, 3),
                hardware=hardware,
                gpus=gpus_of(hardware),
            )


@contextmanager
def opened(opening: AbstractContextManager[T], watch: Watch, stage: str) -> Iterator[T]:
    """The model, opened for the stage under the watch."""
    with ExitStack() as stack:
        began = time.monotonic()
        model = stack.enter_context(opening)
        watch.opening[stage] = time.monotonic() - began
        yield model
