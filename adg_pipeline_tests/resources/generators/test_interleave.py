"""Several iterators at once."""

import time
from collections.abc import Iterator
from itertools import count
from threading import Barrier

import pytest

from adg_pipeline.resources.generators.interleave import interleave


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_all_items_of_all_sources_come(workers: int) -> None:
    sources = [iter(range(start, start + 10)) for start in (0, 10, 20)]
    assert sorted(interleave(sources, workers)) == list(range(30))


def test_sources_run_at_the_same_time() -> None:
    both_at_work = Barrier(2)

    def meet(name: str) -> Iterator[str]:
        both_at_work.wait()
        yield name

    assert sorted(interleave([meet("a"), meet("b")], 2)) == ["a", "b"]


def test_error_of_one_source_stops_the_others() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise MemoryError("too big")

    with pytest.raises(MemoryError, match="too big"):
        list(interleave([count(), broken()], 2))


def test_leaving_early_stops_the_sources() -> None:
    endless = count()
    items = interleave([endless, iter(())], 2)
    next(items)
    items.close()  # type: ignore[attr-defined]
    stopped_at = next(endless)
    time.sleep(0.05)
    assert next(endless) == stopped_at + 1
