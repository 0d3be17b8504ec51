"""How texts are cut into windows, and windows put together into batches, whatever model reads them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of a window that doesn't begin its text, the part that is read for context only.
CONTEXT_SHARE = 0.25


class Window(NamedTuple):
    """What the model reads at a time, token ids (T,); only those from ``pooled_from`` on count in the text's vector."""

    ids: NDArray[np.int64]
    pooled_from: int = 0


def windows_of(ids: NDArray[np.int64], first: int, longest: int, *, cut: bool = False) -> Iterator[Window]:
    """Windows of at most ``longest`` tokens of a text of which tokens from ``first`` on are pooled: at least one.

    Each token from ``first`` on is pooled in exactly one of them. With ``cut`` there is only the first: what comes before
    ``first`` loses its beginning, and where that isn't enough the text loses its end.
    """
    total = len(ids)
    if cut or total <= longest or first == total:
        start = min(first, max(0, total - longest))
        yield Window(ids[start : start + longest], first - start)
        return
    context = min(first, max(int(CONTEXT_SHARE * longest), longest - (total - first)))
    pooled = first
    while pooled < total:
        start = pooled - context
        yield Window(ids[start : start + longest], context)
        pooled, context = start + longest, int(CONTEXT_SHARE * longest)


def batches(lengths: Sequence[int], most_texts: int, most_tokens: int) -> Iterator[list[int]]:
    """Places of texts to run together, the longest first: what doesn't fit in memory shows at once.

    A batch ends at ``most_texts``, at ``most_tokens`` with its padding, or before a text half as long as its longest.
    """
    batch: list[int] = []
    longest = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        full = len(batch) == most_texts or (len(batch) + 1) * longest > most_tokens
        if batch and (full or 2 * lengths[place] <= longest):
            yield batch
            batch = []
        if not batch:
            longest = lengths[place]
        batch.append(place)
    if batch:
        yield batch
