"""Rows of a Parquet pool, a batch at a time, with only the columns that some shape reads."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.formats.errors import PoolFileError, Unusable
from adg_pipeline.formats.fields import ID_FIELDS, SOURCE_FIELDS
from adg_pipeline.progress import Progress

BATCH_ROWS = 512

# Other columns (embeddings, images) may be large and are not decoded.
_COLUMNS = {
    *(
        *ID_FIELDS,
        *SOURCE_FIELDS,
        "instruction",
        "input",
        "context",
        "output",
        "response",
        "history",
        "system",
        "tools",
    ),
    *("messages", "conversations", "instances", "prompt", "completion", "question", "answer", "rationale", "choices"),
    *("options", "content_hash"),
}


def read_values(path: Path, progress: Progress | None = None) -> Iterator[tuple[int, Mapping[str, Any] | Unusable]]:
    """Row numbers from 1 with their values. Damage past the footer is one fault at its place, the last row given.

    Raises PoolFileError where the footer can't be read, or no column is known.
    """
    total = path.stat().st_size
    with path.open("rb") as source:
        try:
            file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False)
            names = file.schema_arrow.names
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            _raise_disk_fault(error)
            raise PoolFileError(f"{path}: a Parquet file that can't be read ({_first_line(error)})") from error
        columns = [name for name in names if name in _COLUMNS]
        if not columns:
            raise PoolFileError(f"{path}: a Parquet file with the columns {names[:20]}, none of which is known")
        number = 0
        try:
            for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
                for value in _values(batch):
                    number += 1
                    yield number, value
                if progress is not None:
                    progress(total * number // max(file.metadata.num_rows, number), total)
        except (pa.ArrowException, OSError) as error:
            _raise_disk_fault(error)
            yield number + 1, Unusable("broken file", f"the Parquet data is damaged ({_first_line(error)})")


def _values(batch: pa.RecordBatch) -> Iterator[Mapping[str, Any] | Unusable]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        # Some text of the batch isn't UTF-8: row by row, so that only its own row is lost.
        for place in range(batch.num_rows):
            try:
                row = batch.slice(place, 1).to_pylist()[0]
            except UnicodeDecodeError:
                row = Unusable("not UTF-8")
            yield row


def _raise_disk_fault(error: Exception) -> None:
    """Arrow raises OSError for damaged data, too, but then without the system's error number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
