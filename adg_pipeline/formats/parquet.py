"""Rows of a Parquet pool, a batch at a time. What is no text (images, vectors) is told, but not decoded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.formats import names
from adg_pipeline.formats.errors import PoolFileError, Unusable
from adg_pipeline.progress import Progress

BATCH_ROWS = 512
MEDIA_BATCH_ROWS = 32
# Lists of numbers that are no vectors.
NUMBER_LISTS = {*names.RANKING, *names.SCORES, *names.ANSWERED, *names.CHOICES, "loss_mask", "weight", "loss"}


@dataclass(frozen=True)
class Held:
    """Stands for a value that is no text and wasn't decoded."""

    kind: str


def read_values(path: Path, progress: Progress | None = None) -> Iterator[tuple[int, Mapping[str, Any] | Unusable]]:
    """Row numbers from 1 with their values. Damage past the footer is one fault at its place, the last row given.

    Raises PoolFileError where the footer can't be read.
    """
    total = path.stat().st_size
    with path.open("rb") as source:
        try:
            file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False)
            schema = file.schema_arrow
            # Of media it is read which rows have some; of vectors nothing.
            opaque = {field.name for field in schema if not _is_legible(field)}
            media = {name for name in opaque if names.is_media(names.plain(name))}
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            _raise_disk_fault(error)
            raise PoolFileError(f"{path}: a Parquet file that can't be read ({_first_line(error)})") from error
        held = {name: Held(str(schema.field(name).type)[:40]) for name in schema.names if name in opaque - media}
        number = 0
        try:
            for batch in file.iter_batches(
                MEDIA_BATCH_ROWS if media else BATCH_ROWS,
                columns=[name for name in schema.names if name not in held],
                use_threads=False,
            ):
                for value in _values(_marked(batch, media)):
                    number += 1
                    yield number, value if isinstance(value, Unusable) else _with_held(value, media, held)
                if progress is not None:
                    progress(total * number // max(file.metadata.num_rows, number), total)
        except (pa.ArrowException, OSError) as error:
            _raise_disk_fault(error)
            yield number + 1, Unusable("broken file", f"the Parquet data is damaged ({_first_line(error)})")


def _is_legible(field: pa.Field) -> bool:
    """Whether a column is worth decoding: not bytes, nor what holds some (the Hub's images and audio), nor a vector."""
    kind, name = field.type, names.plain(field.name)
    if names.is_media(name):
        return False
    if pa.types.is_struct(kind):
        return not any(_is_bytes(kind.field(place).type) for place in range(kind.num_fields))
    depth = 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return not _is_bytes(kind) and not (depth and is_number and name not in NUMBER_LISTS)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _marked(batch: pa.RecordBatch, media: set[str]) -> pa.RecordBatch:
    """The batch with true in place of each image and the like."""
    import pyarrow.compute as pc  # takes a fifth of a second, which only a pool with media need spend

    for place, name in enumerate(batch.schema.names):
        if name in media:
            column = batch.column(place)
            there = pc.is_valid(column)
            if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
                there = pc.and_(there, pc.fill_null(pc.greater(pc.list_value_length(column), 0), False))
            batch = batch.set_column(place, name, there)
    return batch


def _with_held(value: dict[str, Any], media: set[str], held: Mapping[str, Held]) -> Mapping[str, Any]:
    for name in media:
        value[name] = Held("media") if value[name] else None
    return {**value, **held}


def _values(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Unusable]:
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
