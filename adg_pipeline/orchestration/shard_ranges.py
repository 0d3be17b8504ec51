"""A part of the pool's shards, for one of several machines that share the work."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

_KEY = r"[A-Za-z0-9_-]+"
_RANGE = re.compile(rf"({_KEY})?(\.\.)({_KEY})?|({_KEY})")
_PART = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)")


@dataclass(frozen=True)
class ShardRange:
    """Shards from `first` to `last` in the order of their keys, both with it and open where None; or the `part`-th (from 1)
    of `parts` that the pool is cut into.

    Which shards a part has depends on the pool as it is then. Where it grows meanwhile, two parts may share a shard, which
    is computed once, or leave one out, which the next run that takes the whole pool computes.
    """

    first: str | None = None
    last: str | None = None
    part: int = 1
    parts: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """``A..B``, ``A..``, ``..B``, ``A`` or ``3/10``. Raises ValueError, with what may be written."""
        if match := _PART.fullmatch(text):
            part, parts = map(int, match.groups())
            if part <= parts:
                return cls(part=part, parts=parts)
            raise ValueError(f"{text}: there are {parts} parts, the last is {parts}/{parts}")
        if (match := _RANGE.fullmatch(text)) and text != "..":
            first, _, last, only = match.groups()
            if first is None or last is None or first <= last:
                return cls(first or only, last or only)
            raise ValueError(f"{text}: {first} comes after {last}")
        raise ValueError(f"{text!r} is none of A..B, A.., ..B, A (keys of shards) and I/N, such as 3/10")

    def of(self, shards: Collection[str]) -> list[str]:
        """Those of the shards that belong to it, sorted: of N shards in P parts, N/P each, rounded up or down."""
        ordered = sorted(shards)
        begin = 0 if self.first is None else bisect_left(ordered, self.first)
        end = len(ordered) if self.last is None else bisect_right(ordered, self.last)
        named = ordered[begin:end]
        count = len(named)
        return named[count * (self.part - 1) // self.parts : count * self.part // self.parts]
