"""Vectors in LanceDB: one table for answers, one for instructions, all shards together.

A shard is written in one commit. A small JSON file per shard, removed before the commit and written after it, carries
the provenance; a crash in between leaves a shard without provenance, which counts as missing and is computed again.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from adg_pipeline.errors import StoreError
from adg_pipeline.host.disk import disk_fault, disk_faults
from adg_pipeline.host.files import locked, write_atomically
from adg_pipeline.host.shared_files import at_hand, named, names_in, removal, remove
from adg_pipeline.store.ledger import Shelf
from adg_pipeline.store.provenance import Provenance

if TYPE_CHECKING:
    import lancedb

_MAGIC = b"LANC"
_MANIFEST = re.compile(r"[0-9]+\.manifest")
_DATA_FILE = re.compile(rb"[01]{24}[0-9a-f]{26}\.lance")
_FAULTS = (OSError, RuntimeError, ValueError)  # what LanceDB raises for a fault of the table's files …
_CONFLICT = "commit conflict"  # what it says where two processes changed the same rows; the first one's change stands
_PANICS = ("RustPanic", "PanicException")  # … unless the damage makes it panic; these classes can't be imported
# Commits between two compactions, of a table of up to a million rows. Compacting takes time by the whole table, since the
# index is written anew; a read takes time by what isn't in the index yet. So the distance grows with the table's cube root.
COMPACT_EVERY, COMPACT_ROWS = 64, 1_000_000
INDEXED = "shard"  # every read, and every write, asks for one shard
KEEP_VERSIONS = timedelta(days=1)  # longer than anybody reads one
# Read at once. LanceDB's own thousand rows or so are so few that calls of numpy cost more than what they do.
BATCH_BYTES, BATCH_ROWS = 4 * 2**20, 2**16
TABLES = ("answer_embeddings", "instruction_embeddings")


def vector_schema(dimension: int) -> pa.Schema:
    """Schema of both tables; instructions have sample_index 0."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("example_id", pa.string(), nullable=False),
            pa.field("shard", pa.string(), nullable=False),
            pa.field("sample_index", pa.int32(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


def vector_batch(shard: str, example_ids: Sequence[str], vectors: np.ndarray) -> pa.RecordBatch:
    """A batch of N × K rows from (N, K, d) float32 vectors, the K samples of an example together."""
    count, samples, dimension = vectors.shape
    flat = np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([f"{shard}/{example}/{sample}" for example in example_ids for sample in range(samples)]),
            pa.array([example for example in example_ids for _ in range(samples)], pa.string()),
            pa.array([shard] * (count * samples), pa.string()),
            pa.array(np.tile(np.arange(samples, dtype=np.int32), count)),
            pa.FixedSizeListArray.from_arrays(pa.array(flat), dimension),
        ],
        schema=vector_schema(dimension),
    )


class VectorTables:
    """The LanceDB tables under one directory.

    Shard keys hold only letters, digits, "_" and "-" (`formats.split.shard_key`), and are quoted in filters all the same.
    """

    def __init__(self, directory: Path, place: str | None = None) -> None:
        """directory: where their provenance lies on this machine. place: where LanceDB has them, if it is another one: it
        reads and writes an object store itself."""
        self._directory = directory
        self._place = place or str(directory)
        self._is_remote = "://" in self._place

    def provenance(self, table: str, shard: str) -> Provenance | None:
        return _read_stamp(self._stamp(table, shard))

    def shelf(self, table: str) -> Shelf:
        """Where the table's provenance lies."""
        return Shelf(self._stamp(table, "x").parent, ".json", _read_stamp)

    def shards(self, table: str) -> list[str]:
        names = names_in(self._stamp(table, "x").parent)
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def write(
        self,
        table: str,
        shard: str,
        dimension: int,
        batches: Iterable[pa.RecordBatch],
        provenance: Callable[[], Provenance],
    ) -> Provenance:
        """Replace a shard's vectors in one commit, streaming the batches. `provenance` is asked for after the last."""
        stamp = self._stamp(table, shard)
        with disk_faults(stamp):
            remove(stamp)
        lance = self._for_writing(table, dimension)
        version = lance.version
        source = _Source(batches)
        reader = pa.RecordBatchReader.from_batches(vector_schema(dimension), source)
        try:
            with self._faults(table):
                if lance.count_rows(_shard_is(shard)) == 0:
                    lance.add(reader)
                else:
                    merge = lance.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                    merge.when_not_matched_by_source_delete(_shard_is(shard)).execute(reader)
        except StoreError:
            if source.fault is not None:
                raise source.fault from None  # what makes the batches is at fault, not the table
            raise
        record = provenance()
        write_atomically(stamp, lambda temporary: _write_text(temporary, record.to_json()))
        every = compact_every(lance.count_rows())
        if lance.version // every != version // every:
            self.compact(table)
        return record

    def read(
        self, table: str, shard: str, *, vectors: bool = True
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Batches of (example ids (n,), sample indices (n,), vectors (n, d) float32) of one shard, in stored order.

        Without `vectors` the third is (n, 0) and nothing of it is read.
        """
        columns = ["example_id", "sample_index", *(["vector"] if vectors else [])]
        lance = self._open(table)
        query = lance.search().where(_shard_is(shard)).select(columns)
        for batch, found in self._batches(table, query, _batch_rows(lance, vectors)):
            ids, indices = (batch.column(name).to_numpy(zero_copy_only=False) for name in columns[:2])
            yield ids, indices, found

    def read_all(self, table: str, *, vectors: bool = True) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        """Batches of (shard and example_id of n rows, vectors (n, d) float32, or (n, 0)) of the whole table."""
        columns = ["shard", "example_id", *(["vector"] if vectors else [])]
        lance = self._open(table)
        for batch, found in self._batches(table, lance.search().select(columns), _batch_rows(lance, vectors)):
            keys = pl.from_arrow(batch.select(columns[:2]))
            assert isinstance(keys, pl.DataFrame)
            yield keys, found

    def count(self, table: str, shard: str) -> int:
        with self._faults(table):
            return int(self._open(table).count_rows(_shard_is(shard)))

    def damage(self, table: str) -> StoreError | None:
        """What can be seen of damage without opening the table: missing or truncated files. None if there is none."""
        if self._is_remote:  # objects are whole; and to look at each would take a request
            return None
        path = self._directory / f"{table}.lance"
        what = truncated_or_missing(path) if path.is_dir() else ""
        if not path.is_dir() and self.shards(table):
            what = "it is missing"
        return self._damaged(table, what) if what else None

    def remove(self, table: str, shard: str) -> None:
        """Remove a shard's vectors and its provenance."""
        remove(self._stamp(table, shard))
        if self._exists(table):
            with self._faults(table):
                self._open(table).delete(_shard_is(shard))

    def compact(self, table: str) -> None:
        """Merge the small files that many commits leave behind, bring the index up to date, and drop versions that nobody
        reads any more."""
        if self._exists(table):
            with self._faults(table), locked(self._directory / ".locks" / f"{table}.lock"):
                lance = self._open(table)
                try:
                    # Without the index: to find what is in it again in merged files takes thrice as long as to make it anew.
                    for index in _indices(lance):
                        lance.drop_index(index)
                    lance.optimize(cleanup_older_than=KEEP_VERSIONS)
                except _FAULTS as error:
                    # Another process rewrote or removed a shard meanwhile. That is no damage, and the next time comes.
                    if _CONFLICT not in str(error):
                        raise
                _index(lance)

    def _batches(self, table: str, query: Any, rows: int) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        with self._faults(table):
            for batch in query.to_batches(rows):
                if batch.num_rows == 0:
                    continue
                if "vector" in batch.schema.names:
                    vectors = batch["vector"].flatten().to_numpy(zero_copy_only=True).reshape(batch.num_rows, -1)
                else:
                    vectors = np.empty((batch.num_rows, 0), np.float32)
                yield batch, vectors

    def _for_writing(self, table: str, dimension: int) -> "lancedb.table.Table":
        # Two processes that create a table at the same time would fail one of them.
        with locked(self._directory / ".locks" / f"{table}.lock"):
            database = self._connect()
            if self._exists(table):
                lance = self._open(table)
                if lance.schema.field("vector").type.list_size == dimension:
                    return lance
                # Another embedder: vectors of two lengths can't share a table, and none of the old ones is up to date.
                for known in self.shards(table):
                    remove(self._stamp(table, known))
                database.drop_table(table)
            with self._faults(table):
                created: Any = database.create_table(table, schema=vector_schema(dimension))
                # Without it, two processes that merge the same new keys both insert them.
                created.set_unenforced_primary_key("id")
                _index(created)
            return created

    def _open(self, table: str) -> "lancedb.table.Table":
        with self._faults(table):
            return self._connect().open_table(table)

    def _connect(self) -> "lancedb.DBConnection":
        import lancedb  # takes over a second, which sensors and `adg status` needn't spend

        return lancedb.connect(self._place)

    def _exists(self, table: str) -> bool:
        if self._is_remote:
            with self._faults(table):
                return table in self._connect().list_tables().tables
        return (self._directory / f"{table}.lance").is_dir()

    def _stamp(self, table: str, shard: str) -> Path:
        return self._directory / "provenance" / table / f"{shard}.json"

    @contextmanager
    def _faults(self, table: str) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not isinstance(error, _FAULTS) and type(error).__name__ not in _PANICS:
                raise
            raise self._fault(table, error) from error

    def _fault(self, table: str, error: BaseException) -> BaseException:
        if isinstance(error, StoreError):
            return error
        path = self._directory / f"{table}.lance"
        if (full := disk_fault(path, error)) is not None:
            return full
        told = str(error).splitlines()[0].partition(", /rustc/")[0]  # what follows is a place in LanceDB's own code
        seen = truncated_or_missing(path) if path.is_dir() else ""
        return self._damaged(table, seen or told[:300])

    def _damaged(self, table: str, reason: str) -> StoreError:
        path, stamps = self._directory / f"{table}.lance", self._directory / "provenance" / table
        mend = "vectors are made anew from the stored texts, no answer is generated twice"
        if self._is_remote:  # LanceDB doesn't tell a store that is out of reach from a table that is damaged
            return StoreError(
                f"{named(path)}: can't be used ({reason}). Run again; if it stays so, `{removal([path, stamps])}` before: "
                f"{mend}."
            )
        return StoreError(
            f"{path}: damaged ({reason}). Delete {path} and {stamps}, then run again: {mend}.", delete=[path, stamps]
        )


class _Source:
    """The batches, remembering an exception of what makes them: LanceDB wraps it beyond recognition."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self.fault: Exception | None = None

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            return next(self._batches)
        except StopIteration:
            raise
        except Exception as error:
            self.fault = error
            raise


def truncated_or_missing(table: Path) -> str:
    """Files of a Lance table that are missing or end too early, in words; empty if there are none.

    Manifests and data files end with the same four bytes (https://lance.org/format/file/), and the newest manifest
    names the data files of the table as it stands. So this costs one small read per file, and no library.
    """
    versions = table / "_versions"
    if not versions.is_dir():
        return "_versions holds no manifest"
    with os.scandir(versions) as entries:  # thousands, where many shards were written on one day
        names = [entry.name for entry in entries if _MANIFEST.fullmatch(entry.name)]
    if not names:
        return "_versions holds no manifest"
    newest = versions / min(names)  # they count down from 2⁶⁴ - 1
    if not _is_whole(newest):
        return f"{newest.relative_to(table)} is truncated"
    text = newest.read_bytes()
    # Before the table itself stands the last change, which names files that may be gone by now.
    start = int.from_bytes(text[-16:-8], "little")
    named = {name.decode() for name in _DATA_FILE.findall(text[start:])}
    for file in sorted(table / "data" / name for name in named):
        if not file.exists():
            return f"{file.relative_to(table)} is missing"
        if not _is_whole(file):
            return f"{file.relative_to(table)} is truncated"
    return ""


def _is_whole(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(-min(len(_MAGIC), file.stat().st_size), os.SEEK_END)
        return stream.read() == _MAGIC


def _batch_rows(lance: "lancedb.table.Table", vectors: bool) -> int:
    return max(1, BATCH_BYTES // (4 * lance.schema.field("vector").type.list_size)) if vectors else BATCH_ROWS


def compact_every(rows: int) -> int:
    """Commits between two compactions of a table of so many rows."""
    return int(COMPACT_EVERY * max(1.0, rows / COMPACT_ROWS) ** (1 / 3))


def _index(lance: "lancedb.table.Table") -> None:
    """Index the shards, unless that is done. A table of before there was an index gets one when it is compacted."""
    from lancedb.index import BTree

    if not _indices(lance):
        lance.create_index(INDEXED, config=BTree())


def _indices(lance: "lancedb.table.Table") -> list[str]:
    return [index.name for index in lance.list_indices() if index.columns == [INDEXED]]


def _read_stamp(path: Path) -> Provenance | None:
    try:
        return Provenance.from_json(at_hand(path).read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{named(path)}: damaged ({error}). Delete the file, then run again: this shard's vectors are made anew from the "
            "stored texts, no answer is generated twice.",
            delete=[path],
        ) from error


def _shard_is(shard: str) -> str:
    quoted = shard.replace("'", "''")
    return f"shard = '{quoted}'"


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
