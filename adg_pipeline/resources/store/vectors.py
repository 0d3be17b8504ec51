"""Vectors in LanceDB: one table for answers, one for instructions, all shards together.

A shard is written in one commit. A small JSON file per shard, removed before the commit and written after it, carries
the provenance; a crash in between leaves a shard without provenance, which counts as missing and is computed again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from adg_pipeline.errors import StoreError
from adg_pipeline.files import locked, write_atomically
from adg_pipeline.provenance import Provenance

if TYPE_CHECKING:
    import lancedb

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

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def provenance(self, table: str, shard: str) -> Provenance | None:
        try:
            return Provenance.from_json(self._stamp(table, shard).read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            path = self._stamp(table, shard)
            raise StoreError(
                f"{path}: damaged ({error}); delete it and materialise {table} for {shard} again"
            ) from error

    def shards(self, table: str) -> list[str]:
        return sorted(path.stem for path in self._stamp(table, "x").parent.glob("*.json"))

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
        stamp.unlink(missing_ok=True)
        lance = self._for_writing(table, dimension)
        reader = pa.RecordBatchReader.from_batches(vector_schema(dimension), iter(batches))
        try:
            if lance.count_rows(_shard_is(shard)) == 0:
                lance.add(reader)
            else:
                merge = lance.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                merge.when_not_matched_by_source_delete(_shard_is(shard)).execute(reader)
        except OSError as error:
            raise self._damaged(table, error) from error
        record = provenance()
        write_atomically(stamp, lambda temporary: _write_text(temporary, record.to_json()))
        return record

    def read(
        self, table: str, shard: str, *, vectors: bool = True
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Batches of (example ids (n,), sample indices (n,), vectors (n, d) float32) of one shard, in stored order.

        Without `vectors` the third is (n, 0) and nothing of it is read.
        """
        columns = ["example_id", "sample_index", *(["vector"] if vectors else [])]
        query = self._open(table).search().where(_shard_is(shard)).select(columns)
        yield from self._arrays(table, query)

    def read_all(self, table: str, *, vectors: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Batches of (shards (n,), example ids (n,), vectors (n, d) float32, or (n, 0)) of the whole table."""
        columns = ["shard", "example_id", *(["vector"] if vectors else [])]
        query = self._open(table).search().select(columns)
        yield from self._arrays(table, query)

    def count(self, table: str, shard: str) -> int:
        return int(self._open(table).count_rows(_shard_is(shard)))

    def remove(self, table: str, shard: str) -> None:
        """Remove a shard's vectors and its provenance."""
        self._stamp(table, shard).unlink(missing_ok=True)
        if self._exists(table):
            self._open(table).delete(_shard_is(shard))

    def compact(self, table: str) -> None:
        """Merge the small files that many shard commits leave behind."""
        if self._exists(table):
            self._open(table).optimize()

    def _arrays(self, table: str, query: object) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        try:
            for batch in query.to_batches():  # type: ignore[attr-defined]
                if batch.num_rows == 0:
                    continue
                if "vector" in batch.schema.names:
                    vectors = batch["vector"].flatten().to_numpy(zero_copy_only=True).reshape(batch.num_rows, -1)
                else:
                    vectors = np.empty((batch.num_rows, 0), np.float32)
                first, second = (batch.column(name) for name in batch.schema.names[:2])
                yield first.to_numpy(zero_copy_only=False), second.to_numpy(zero_copy_only=False), vectors
        except (OSError, RuntimeError) as error:
            raise self._damaged(table, error) from error

    def _for_writing(self, table: str, dimension: int) -> "lancedb.table.Table":
        # Two processes that create a table at the same time would fail one of them.
        with locked(self._directory / ".locks" / f"{table}.lock"):
            database = self._connect()
            if self._exists(table):
                lance = self._open(table)
                if lance.schema.field("vector").type.list_size == dimension:
                    return lance
                # Another embedder: vectors of two lengths can't share a table, and none of the old ones is up to date.
                for stamp in self._stamp(table, "x").parent.glob("*.json"):
                    stamp.unlink()
                database.drop_table(table)
            created: Any = database.create_table(table, schema=vector_schema(dimension))
            # Without it, two processes that merge the same new keys both insert them.
            created.set_unenforced_primary_key("id")
            return created

    def _open(self, table: str) -> "lancedb.table.Table":
        try:
            return self._connect().open_table(table)
        except (ValueError, OSError, RuntimeError) as error:
            raise self._damaged(table, error) from error

    def _connect(self) -> "lancedb.DBConnection":
        import lancedb  # takes over a second, which sensors and `adg status` needn't spend

        return lancedb.connect(self._directory)

    def _exists(self, table: str) -> bool:
        return (self._directory / f"{table}.lance").is_dir()

    def _stamp(self, table: str, shard: str) -> Path:
        return self._directory / "provenance" / table / f"{shard}.json"

    def _damaged(self, table: str, error: Exception) -> StoreError:
        path = self._directory / f"{table}.lance"
        reason = str(error).splitlines()[0][:300]
        return StoreError(
            f"{path}: can't be used ({reason}). If the disk is full, free space and run again. If the table is damaged, "
            f"delete {path} and {self._directory / 'provenance' / table}, then run again: vectors are made anew from "
            "the stored answers, no answer is generated twice."
        )


def _shard_is(shard: str) -> str:
    quoted = shard.replace("'", "''")
    return f"shard = '{quoted}'"


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
