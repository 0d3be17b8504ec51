"""Ids that two shards give to different examples: found before anything is sampled for the second of them."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from adg_pipeline.errors import ShardFault
from adg_pipeline.formats.ids import is_told_by_content
from adg_pipeline.store import Store
from adg_pipeline.store.ledger import Look

_ENTRY = np.dtype([("id", ">u8"), ("content", ">u8"), ("place", "<u4")])


class NamedExamples:
    """The ids of the stored shards that are not told apart by content, hashed to 20 bytes each; read at the first need."""

    def __init__(self, store: Store, shards: Iterable[str]) -> None:
        self._store, self._shards = store, sorted(shards)
        self._read: dict[str, np.ndarray] | None = None

    def require_unique(self, shard: str, table: pa.Table) -> None:
        """Raise ShardFault if an example of the table has an id that is another example's in another shard.

        table: example_id and content_hash of the shard, as it is about to be stored.
        """
        mine = _entries(table)
        if not len(mine):
            return
        for other, theirs in self._others().items():
            if other == shard or not len(theirs):
                continue
            _, here, there = np.intersect1d(mine["id"], theirs["id"], assume_unique=True, return_indices=True)
            clash = here[mine["content"][here] != theirs["content"][there]]
            if len(clash):
                example = table["example_id"][int(mine["place"][clash[0]])].as_py()
                raise ShardFault(
                    f"{len(clash):,} of its ids stand for other examples in shard {other} (such as {example[:80]!r}), and "
                    "only one of two would count. Set raw_pool.ids to local, which tells them apart by their content, or "
                    "give them other ids; if one file is a new version of the other, remove the old one"
                )
        self._others()[shard] = mine

    def _others(self) -> dict[str, np.ndarray]:
        if self._read is None:
            look = self._store.look(keep=True)
            self._read = {shard: self._stored(look, shard) for shard in self._shards}
        return self._read

    def _stored(self, look: Look, shard: str) -> np.ndarray:
        stored = look.provenance("raw_pool", shard)
        if stored is None or not stored.facts.get("named_ids"):
            return np.empty(0, _ENTRY)
        return _entries(self._store.read_table("raw_pool", shard, ["example_id", "content_hash"]))


def _entries(table: pa.Table) -> np.ndarray:
    """Of the examples whose id is not told by content: hash of the id, content, and place in the table."""
    pairs = zip(table["example_id"].to_pylist(), table["content_hash"].to_pylist(), strict=True)
    named = [
        (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"), int(content[:16], 16), place)
        for place, (name, content) in enumerate(pairs)
        if not is_told_by_content(name, content)
    ]
    return np.array(named, _ENTRY)
