"""Records of one file that share an id: which one is kept, found with fixed-size hashes after the file was read."""

import hashlib
from dataclasses import dataclass

import numpy as np

from adg_pipeline.formats.schema import Example

_ENTRY = np.dtype([("id", ">u8", 2), ("content", ">u8", 2), ("record", ">i8")])


@dataclass(frozen=True, slots=True)
class Repeat:
    """position: index of the example that goes, in the order of `add`. kept: record number of the one that stays."""

    position: int
    record: int
    kept: int
    same_content: bool


class IdLedger:
    """Every accepted example's id and content in 40 bytes.

    `content_fingerprint` adds up a hash of each pair of id and content modulo 2^256, so it doesn't depend on the order
    of examples, and an example can be taken out again.
    """

    def __init__(self) -> None:
        self._entries = bytearray()
        self._sum = 0

    def add(self, example: Example) -> None:
        key = hashlib.sha256(example.example_id.encode()).digest()[:16] + bytes.fromhex(example.content_hash)
        self._entries += key + example.row.to_bytes(8, "big")
        self._sum += _pair_hash(key)

    def drop_repeats(self) -> list[Repeat]:
        """What goes, by position: of the examples of one id, all but that of the smallest content hash, then record.

        So what stays doesn't depend on the order of the records. They no longer count in the fingerprint.
        """
        table = np.frombuffer(self._entries, dtype=_ENTRY)
        if not len(table):
            return []
        ids, contents = table["id"].astype(np.uint64), table["content"].astype(np.uint64)
        order = np.lexsort((table["record"], contents[:, 1], contents[:, 0], ids[:, 1], ids[:, 0]))
        ids, contents = ids[order], contents[order]
        new = np.concatenate([[True], (ids[1:] != ids[:-1]).any(axis=1)])
        first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
        repeats = [
            Repeat(
                position=int(order[place]),
                record=int(table["record"][order[place]]),
                kept=int(table["record"][order[first[place]]]),
                same_content=bool((contents[place] == contents[first[place]]).all()),
            )
            for place in np.flatnonzero(~new)
        ]
        for repeat in repeats:
            self._sum -= _pair_hash(table[repeat.position].tobytes()[:32])
        return sorted(repeats, key=lambda repeat: repeat.position)

    @property
    def content_fingerprint(self) -> str:
        """64 hex digits."""
        return f"{self._sum % 2**256:064x}"


def _pair_hash(key: bytes) -> int:
    return int.from_bytes(hashlib.sha256(key).digest(), "big")
