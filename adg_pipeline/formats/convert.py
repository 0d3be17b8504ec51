"""One pool file to one raw-pool table: every record accepted, or rejected with its place and reason."""

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adg_pipeline.config import PoolFormat, RawPoolConfig
from adg_pipeline.files import write_atomically
from adg_pipeline.formats.errors import PoolFileChanged, PoolFileError
from adg_pipeline.formats.examples import read_examples
from adg_pipeline.formats.layout import EXPECTED, detect_layout, max_record_bytes
from adg_pipeline.formats.rejects import RejectsWriter, rejected_repeat, repeat_kind
from adg_pipeline.formats.repeats import IdLedger
from adg_pipeline.formats.schema import Rejection
from adg_pipeline.formats.shards import source_name
from adg_pipeline.formats.streams import Compression
from adg_pipeline.formats.table import TableWriter, drop_rows
from adg_pipeline.progress import Progress

__all__ = ["ConversionSummary", "PoolFileChanged", "PoolFileError", "convert"]


@dataclass(frozen=True)
class ConversionSummary:
    """What became of a pool file: read == accepted + rejected.

    read: its records; each instance of a self-instruct seed counts as one. reasons: rejections by kind, most frequent
    first. bytes, sha256: of the file as it lies there. content_fingerprint: 64 hex digits over the accepted pairs of
    example_id and content_hash, whatever their order.
    """

    format: PoolFormat
    compression: Compression
    read: int
    accepted: int
    rejected: int
    reasons: dict[str, int]
    bytes: int
    sha256: str
    content_fingerprint: str


Metadata = Mapping[str, str] | Callable[[ConversionSummary], Mapping[str, str]]


def convert(
    path: Path,
    table_path: Path,
    rejects_path: Path,
    config: RawPoolConfig,
    source: str | None = None,
    metadata: Metadata | None = None,
    progress: Progress | None = None,
) -> ConversionSummary:
    """Write the file's examples to `table_path` (`RAW_POOL_SCHEMA`, zstd), its rejections to `rejects_path` (JSONL).

    Both appear whole or not at all; without rejections there is no rejects file. Memory doesn't grow with the file, but
    for about 100 bytes an example while repeats are looked for.

    source: the name for records that have none of their own; by default the file's, without shard number.
    metadata: of the table's schema, or how to make it from the summary.
    progress: called with (bytes read, bytes in all) about once per MiB.

    Raises:
        PoolFileError: nothing in the file is usable. Neither output is touched.
        PoolFileChanged: the file was written to meanwhile. Neither output is touched.
    """
    table_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{table_path.name}.", suffix=".tmp", dir=table_path.parent) as staging:
        table, rejects = Path(staging) / "table.parquet", Path(staging) / "rejects.jsonl"
        with _unchanged(path):
            summary = _stage(path, table, rejects, config, source or source_name(path), metadata or {}, progress)
        if summary.rejected:
            write_atomically(rejects_path, lambda temporary: shutil.copyfile(rejects, temporary))
        else:
            rejects_path.unlink(missing_ok=True)
        write_atomically(table_path, lambda temporary: table.rename(temporary))
    return summary


def _stage(
    path: Path,
    table_path: Path,
    rejects_path: Path,
    config: RawPoolConfig,
    source: str,
    metadata: Metadata,
    progress: Progress | None,
) -> ConversionSummary:
    layout = detect_layout(path, config)
    first_pass = table_path.with_name("first-pass.parquet")
    ledger = IdLedger()
    accepted = 0
    with RejectsWriter(rejects_path) as rejects:
        with TableWriter(first_pass) as table:
            for result in read_examples(path, layout, source, max_record_bytes(config), progress):
                if isinstance(result, Rejection):
                    rejects.add(result)
                else:
                    table.add(result)
                    ledger.add(result)
                    accepted += 1
            repeats = ledger.drop_repeats()
            reasons = rejects.reasons + Counter(repeat_kind(repeat) for repeat in repeats)
            summary = ConversionSummary(
                format=layout.format,
                compression=layout.compression,
                read=accepted + rejects.count,
                accepted=accepted - len(repeats),
                rejected=rejects.count + len(repeats),
                reasons=dict(reasons.most_common()),
                bytes=path.stat().st_size,
                sha256=_sha256(path),
                content_fingerprint=ledger.content_fingerprint,
            )
            if not accepted:
                raise PoolFileError(_nothing_usable(path, layout.format, summary, rejects.first))
            stamp = metadata(summary) if callable(metadata) else metadata
            if not repeats:
                table.stamp(stamp)
        if not repeats:
            first_pass.rename(table_path)
            return summary
        with TableWriter(table_path) as table:
            dropped = drop_rows(first_pass, table, np.array([repeat.position for repeat in repeats]))
            for repeat, row in zip(repeats, dropped, strict=True):
                rejects.add(rejected_repeat(repeat, row))
            table.stamp(stamp)
    return summary


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    """Raises PoolFileChanged if the file is another one, or was written to, when the block ends or fails to read it."""
    before = _version(path)
    try:
        yield
    except PoolFileError as error:
        if _version(path) != before:
            raise PoolFileChanged(_changed(path)) from error
        raise
    if _version(path) != before:
        raise PoolFileChanged(_changed(path))


def _version(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def _changed(path: Path) -> str:
    return f"{path}: was written to while it was read; it is taken again once it is complete"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nothing_usable(path: Path, format: PoolFormat, summary: ConversionSummary, first: Rejection | None) -> str:
    reasons = ", ".join(f"{kind} ({count:,})" for kind, count in summary.reasons.items())
    place = f"; the first: record {first.record}: {first.reason}" if first else ""
    return f"{path}: read as {format}, none of its {summary.read:,} records is usable: {reasons or 'none'}{place}. {EXPECTED}"
