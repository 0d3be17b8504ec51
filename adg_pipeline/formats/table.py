"""Raw-pool tables: written in row groups of bounded size, rewritten without some rows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.formats.schema import RAW_POOL_SCHEMA, Example

GROUP_ROWS = 16_384
GROUP_CHARS = 16 << 20


class TableWriter:
    """Writes `RAW_POOL_SCHEMA` as zstd Parquet. At most one row group of examples is held. rows: how many were added."""

    def __init__(self, path: Path) -> None:
        # Without Arrow's own copy of the schema, metadata added after the rows is what readers see as the schema's.
        self._writer = pq.ParquetWriter(
            path, RAW_POOL_SCHEMA, compression="zstd", store_schema=False, write_page_checksum=True
        )
        self.rows = 0
        self._pending: list[Example] = []
        self._chars = 0

    def add(self, example: Example) -> None:
        self.rows += 1
        self._pending.append(example)
        self._chars += len(example.instruction) + len(example.input) + len(example.output)
        if example.messages:
            self._chars += sum(len(turn.content) for turn in example.messages)
        if len(self._pending) >= GROUP_ROWS or self._chars >= GROUP_CHARS:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        if table.num_rows:
            self._writer.write_table(table)

    def stamp(self, metadata: Mapping[str, str]) -> None:
        """Metadata of the schema."""
        self._writer.add_key_value_metadata(dict(metadata))

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_batch(to_batch(self._pending))
        self._pending, self._chars = [], 0

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()


def to_batch(examples: Sequence[Example]) -> pa.RecordBatch:
    """The examples by the columns of `RAW_POOL_SCHEMA`."""
    columns: list[Sequence[Any]] = list(zip(*map(msgspec.structs.astuple, examples), strict=True))
    messages = RAW_POOL_SCHEMA.get_field_index("messages")
    columns[messages] = [[turn.to_row() for turn in turns] if turns else None for turns in columns[messages]]
    return pa.RecordBatch.from_arrays(list(map(pa.array, columns, RAW_POOL_SCHEMA.types)), schema=RAW_POOL_SCHEMA)


def read_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The table's row groups in order, one at a time."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns, use_threads=False)


def drop_rows(path: Path, target: TableWriter, positions: np.ndarray) -> Iterator[dict[str, Any]]:
    """Copy the table without the rows at `positions` (ascending, from 0); give those rows, in order."""
    begin = 0
    for table in read_groups(path):
        here = positions[(positions >= begin) & (positions < begin + table.num_rows)] - begin
        keep = np.ones(table.num_rows, dtype=bool)
        keep[here] = False
        target.add_table(table.filter(pa.array(keep)))
        yield from table.take(pa.array(here, type=pa.int64())).to_pylist()
        begin += table.num_rows
