"""Several iterators at once, a thread for each that runs."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Ended:
    error: BaseException | None = None


def interleave(sources: Sequence[Iterator[T]], workers: int) -> Iterator[T]:
    """The items of all sources as they come. At most ``workers`` sources run at a time, each in one thread.

    An error of a source is raised here, and the other sources stop at their next item; so they do if this iterator is
    left early.
    """
    if workers == 1 or len(sources) < 2:
        for source in sources:
            yield from source
        return
    ready: SimpleQueue[T | _Ended] = SimpleQueue()
    stopped = threading.Event()

    def drain(source: Iterator[T]) -> None:
        try:
            for item in source:
                if stopped.is_set():
                    break
                ready.put(item)
        except BaseException as error:  # raised again by whoever reads the queue
            ready.put(_Ended(error))
        else:
            ready.put(_Ended())

    with ThreadPoolExecutor(workers) as pool:
        try:
            for source in sources:
                pool.submit(drain, source)
            running = len(sources)
            while running:
                item = ready.get()
                if not isinstance(item, _Ended):
                    yield item
                elif item.error is not None:
                    raise item.error
                else:
                    running -= 1
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
