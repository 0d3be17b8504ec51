"""Parquet tables with their provenance in the footer: one atomic file holds both, so they can't disagree."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.errors import StoreError
from adg_pipeline.host.files import write_atomically
from adg_pipeline.host.shared_files import all_at_hand, at_hand, end_of, named
from adg_pipeline.store.provenance import Provenance

# What Arrow and polars raise for a damaged file. Some damage makes polars panic, which isn't even an Exception.
UNREADABLE = (OSError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException)
PROVENANCE_KEY = b"adg.provenance"
_FOOTER = 2**16  # bytes of a file's end, in which its schema nearly always lies


def write_table(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Write a table and its provenance in one atomic step."""
    metadata = {**(table.schema.metadata or {}), PROVENANCE_KEY: provenance.to_json().encode()}
    stamped = table.replace_schema_metadata(metadata)
    write_atomically(path, lambda temporary: pq.write_table(stamped, temporary, compression="zstd"))


def read_provenance(path: Path) -> Provenance | None:
    """Provenance of a stored table, or None where there is no table. Raises StoreError for a damaged one."""
    try:
        metadata = _schema(path).metadata or {}
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error
    if PROVENANCE_KEY not in metadata:
        raise StoreError(
            f"{path}: carries no provenance, so this pipeline did not write it; move it away and run again"
        )
    try:
        return Provenance.from_json(metadata[PROVENANCE_KEY])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from error


def _schema(path: Path) -> pa.Schema:
    """From the end of the file alone, where that lies in an object store: tables of answers are large."""
    end = end_of(path, _FOOTER)
    if end is None:
        return pq.read_schema(path)
    if len(end) >= 8 and (needed := int.from_bytes(end[-8:-4], "little") + 8) > len(end) == _FOOTER:
        end = end_of(path, needed) or b""
    return pq.read_schema(pa.BufferReader(end))


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A stored table, or some of its columns. Raises StoreError that names a missing or damaged file."""
    try:
        return pq.read_table(at_hand(path), columns=None if columns is None else list(columns), partitioning=None)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error


def scan_tables(paths: Sequence[Path]) -> pl.LazyFrame:
    """The tables one after the other, read lazily: only the columns a query needs."""
    missing = [path for path in all_at_hand(paths) if not path.exists()]
    if missing:
        raise StoreError(f"{missing[0]}: missing ({len(missing)} in all); materialise {missing[0].parent.name} again")
    return pl.scan_parquet([str(path) for path in paths], glob=False)


def _missing(path: Path) -> StoreError:
    return StoreError(f"{path}: missing; materialise the asset {path.parent.name} for {path.stem} again")


def damaged(path: Path, error: BaseException) -> StoreError:
    reason = str(error).splitlines()[0][:200]
    if path.parent.name == "generations":
        cost = "the answers of this shard are sampled again, those of other shards are not"
    else:
        cost = "only this shard's table is made again, no answer is generated twice"
    return StoreError(f"{named(path)}: damaged ({reason}). Delete the file, then run again: {cost}.", delete=[path])


def check(paths: Sequence[Path]) -> None:
    """Raise StoreError that names the first table that can't be read to its end."""
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for _ in file.iter_batches():
                    pass
            pl.read_parquet(path, glob=False)  # each of the two readers sees damage that the other reads over
        except FileNotFoundError as error:
            raise _missing(path) from error
        except UNREADABLE as error:
            raise damaged(path, error) from error
