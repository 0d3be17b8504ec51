"""Examples of one file that share an id: which one is kept, found with fixed-size hashes once the file was read."""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from adg_pipeline.formats.table import read_groups

_ENTRY = np.dtype([("id", ">u8", 2), ("content", ">u8", 2), ("record", ">i8"), ("position", ">i8")])


class IdLedger:
    """Eight bytes for every accepted id, and the fingerprint of them all.

    `fingerprint` adds up a hash of each pair of id and content modulo 2^256: it doesn't depend on the examples' order,
    and an example can be taken out again.
    """

    def __init__(self) -> None:
        self._ids = array("q")
        self._sum = 0

    def add(self, example_id: str, content_hash: str) -> None:
        # Python's own hash, another one in every process: it only says where `find_repeats` has to look.
        self._ids.append(hash(example_id))
        self._sum += _pair_hash(example_id, content_hash)

    def withdraw(self, example_id: str, content_hash: str) -> None:
        """Take an example out of the fingerprint."""
        self._sum -= _pair_hash(example_id, content_hash)

    def suspects(self) -> np.ndarray:
        """Positions, in the order of `add`, of all ids whose hash another one shares."""
        ids = np.frombuffer(self._ids, dtype=np.int64)
        order = np.argsort(ids)
        ordered = ids[order]
        shared = np.zeros(len(ids), dtype=bool)
        equal = ordered[1:] == ordered[:-1]
        shared[1:] |= equal
        shared[:-1] |= equal
        return np.sort(order[shared])

    @property
    def fingerprint(self) -> str:
        """64 hex digits."""
        return f"{self._sum % 2**256:064x}"


@dataclass(frozen=True)
class Repeats:
    """What goes, one array each, by ascending position in the table.

    records: record numbers. kept: record number of the example that stays instead. same_content: whether both say the
    same.
    """

    positions: np.ndarray
    records: np.ndarray
    kept: np.ndarray
    same_content: np.ndarray


def find_repeats(table: Path, suspects: np.ndarray) -> Repeats:
    """Of the examples of one id, all but that with the smallest content hash, or the first of several such.

    So which content stays doesn't depend on the order of the records. table: raw-pool table. suspects: positions to look
    at, ascending.
    """
    entries = np.frombuffer(b"".join(_entries(table, suspects)), dtype=_ENTRY)
    ids, contents = entries["id"].astype(np.uint64), entries["content"].astype(np.uint64)
    order = np.lexsort((entries["position"], contents[:, 1], contents[:, 0], ids[:, 1], ids[:, 0]))
    entries, ids, contents = entries[order], ids[order], contents[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (ids[1:] != ids[:-1]).any(axis=1)
    first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    goes = np.flatnonzero(~begins)
    goes = goes[np.argsort(entries["position"][goes])]
    return Repeats(
        positions=entries["position"][goes].astype(np.int64),
        records=entries["record"][goes].astype(np.int64),
        kept=entries["record"][first[goes]].astype(np.int64),
        same_content=(contents[goes] == contents[first[goes]]).all(axis=1),
    )


def _entries(table: Path, suspects: np.ndarray) -> Iterator[bytes]:
    begin = 0
    for group in read_groups(table, ["example_id", "content_hash", "row"]):
        here = suspects[(suspects >= begin) & (suspects < begin + group.num_rows)]
        for position, row in zip(here.tolist(), group.take(pa.array(here - begin)).to_pylist(), strict=True):
            content = bytes.fromhex(row["content_hash"])
            yield _digest(row["example_id"]) + content + row["row"].to_bytes(8, "big") + position.to_bytes(8, "big")
        begin += group.num_rows


def _digest(example_id: str) -> bytes:
    return hashlib.sha256(example_id.encode()).digest()[:16]


def _pair_hash(example_id: str, content_hash: str) -> int:
    # The content hash comes first: of fixed length, it can't run into the id.
    return int.from_bytes(hashlib.sha256(f"{content_hash}\n{example_id}".encode()).digest(), "big")
