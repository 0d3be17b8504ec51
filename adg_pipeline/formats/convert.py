"""One pool file to one raw-pool table: every record accepted, or rejected with its place and reason."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from adg_pipeline.formats.errors import PoolFileChanged, PoolFileError
from adg_pipeline.formats.examples import read_examples
from adg_pipeline.formats.fields import Notes, by_count
from adg_pipeline.formats.ids import is_told_by_content
from adg_pipeline.formats.layout import EXPECTED, detect_layout, max_record_bytes
from adg_pipeline.formats.rejects import RejectsWriter, rejected_repeats
from adg_pipeline.formats.repeats import IdLedger, find_repeats
from adg_pipeline.formats.schema import Rejection
from adg_pipeline.formats.shards import ShardFile, source_name
from adg_pipeline.formats.staging import put_in_place, sha256_of
from adg_pipeline.formats.streams import Compression
from adg_pipeline.formats.table import TableWriter, drop_rows
from adg_pipeline.host.disk import disk_faults
from adg_pipeline.host.files import staging_directory
from adg_pipeline.host.shared_files import remove
from adg_pipeline.progress import Progress
from adg_pipeline.settings.sections import PoolFormat, RawPoolConfig

__all__ = ["ConversionSummary", "PoolFileChanged", "PoolFileError", "convert", "read_whole"]


@dataclass(frozen=True)
class ConversionSummary:
    """What became of a pool file: read == accepted + rejected.

    read: its records; each instance of a self-instruct seed counts as one. reasons: rejections by kind, most frequent
    first. unused: keys with a value that nothing was made of, with the number of accepted records that have them.
    unwrapped: prompts that a template was taken off, by its name. complete: whether the file was read to its end.
    named_ids: accepted examples whose id is the file's own and doesn't depend on their content. bytes, sha256: of the file
    as it lies there; no SHA-256 where it wasn't read to its end. content_fingerprint: 64 hex digits
    over the accepted pairs of example_id and content_hash, whatever their order.
    """

    format: PoolFormat
    compression: Compression
    read: int
    accepted: int
    rejected: int
    reasons: dict[str, int]
    unused: dict[str, int]
    unwrapped: dict[str, int]
    complete: bool
    named_ids: int
    bytes: int
    sha256: str | None
    content_fingerprint: str

    @property
    def notes(self) -> list[str]:
        """What a user has to know of the file beside its counts, a sentence each."""
        notes = []
        if self.unused:
            notes.append(f"keys not used: {', '.join(f'{key} ({count:,})' for key, count in self.unused.items())}")
        notes += [f"{count:,} prompts had the template of {name}: taken off" for name, count in self.unwrapped.items()]
        return notes

    @property
    def noted(self) -> dict[str, dict[str, int]]:
        """The same as plain JSON values, without what there is none of."""
        counts = {"keys_not_used": self.unused, "templates_taken_off": self.unwrapped}
        return {name: count for name, count in counts.items() if count}


Metadata = Mapping[str, str] | Callable[[ConversionSummary], Mapping[str, str]]
Check = Callable[[ConversionSummary, Path], None]


def convert(
    path: Path,
    table_path: Path,
    rejects_path: Path,
    config: RawPoolConfig,
    source: str | None = None,
    metadata: Metadata | None = None,
    progress: Progress | None = None,
    limit: int | None = None,
    check: Check = lambda summary, table: None,
    listed: ShardFile | None = None,
) -> ConversionSummary:
    """Write the file's examples to `table_path` (`RAW_POOL_SCHEMA`, zstd), its rejections to `rejects_path` (JSONL).

    Both appear whole or not at all; without rejections there is no rejects file. Memory doesn't grow with the file, but
    for 25 bytes an example, and 100 for one whose id is found again.

    source: the name for records that have none of their own; by default the file's, without shard number.
    metadata: of the table's schema, or how to make it from the summary.
    progress: called with (bytes read, bytes in all) about once per MiB.
    limit: stop after so many different examples. Of repeats, only those that were read by then count.
    check: sees the summary and the finished table before it is put in place, and raises if it mustn't be.
    listed: the file as it was listed, by which the metadata names it; one that is another by now isn't read.

    Raises:
        PoolFileError: nothing in the file is usable. Neither output is touched.
        PoolFileChanged: the file was written to, replaced or removed meanwhile, or since it was listed. Neither output
            is touched.
    """
    with disk_faults(table_path), staging_directory(table_path) as staging:
        table, rejects = Path(staging) / "table.parquet", Path(staging) / "rejects.jsonl"
        with _unchanged(path, listed):
            summary = _stage(path, table, rejects, config, source or source_name(path), metadata or {}, progress, limit)
        check(summary, table)
        if summary.rejected:
            put_in_place(rejects, rejects_path)
        else:
            remove(rejects_path)
        put_in_place(table, table_path)
    return summary


def read_whole(path: Path) -> tuple[pl.DataFrame, ConversionSummary]:
    """The examples of a file that is a list rather than a pool, `RAW_POOL_SCHEMA`, in memory; read as any pool file is.

    Raises PoolFileError where nothing in it is usable.
    """
    with TemporaryDirectory() as folder:
        table = Path(folder) / "table.parquet"
        summary = convert(path, table, Path(folder) / "rejects.jsonl", RawPoolConfig())
        return pl.read_parquet(table, glob=False), summary


def _stage(
    path: Path,
    table_path: Path,
    rejects_path: Path,
    config: RawPoolConfig,
    source: str,
    metadata: Metadata,
    progress: Progress | None,
    limit: int | None,
) -> ConversionSummary:
    layout = detect_layout(path, config)
    first_pass = table_path.with_name("first-pass.parquet")
    ledger, notes = IdLedger(), Notes()
    complete, named = True, 0

    def finish(table: TableWriter, rejects: RejectsWriter) -> ConversionSummary:
        summary = ConversionSummary(
            format=layout.format,
            compression=layout.compression,
            read=table.rows + rejects.count,
            accepted=table.rows,
            rejected=rejects.count,
            reasons=dict(rejects.reasons.most_common()),
            unused=by_count(notes.unused),
            unwrapped=by_count(notes.unwrapped),
            complete=complete,
            named_ids=named,
            bytes=path.stat().st_size,
            sha256=sha256_of(path) if complete else None,
            content_fingerprint=ledger.fingerprint,
        )
        if not summary.accepted:
            raise PoolFileError(_nothing_usable(path, summary, rejects.first))
        table.stamp(metadata(summary) if callable(metadata) else metadata)
        return summary

    with RejectsWriter(rejects_path) as rejects:
        with TableWriter(first_pass) as table:
            taken: set[str] = set()  # ids; stays empty without a limit
            for result in read_examples(path, layout, source, max_record_bytes(config), progress, notes):
                if limit is not None and len(taken) >= limit:
                    complete = False
                    break
                if isinstance(result, Rejection):
                    rejects.add(result)
                else:
                    table.add(result)
                    ledger.add(result.example_id, result.content_hash)
                    named += not is_told_by_content(result.example_id, result.content_hash)
                    if limit is not None:
                        taken.add(result.example_id)
            suspects = ledger.suspects()
            if not len(suspects):
                summary = finish(table, rejects)
        if not len(suspects):
            first_pass.rename(table_path)
            return summary
        repeats = find_repeats(first_pass, suspects)
        with TableWriter(table_path) as table:
            for rejection, row in rejected_repeats(repeats, drop_rows(first_pass, table, repeats.positions)):
                rejects.add(rejection)
                ledger.withdraw(row["example_id"], row["content_hash"])
                named -= not is_told_by_content(row["example_id"], row["content_hash"])
            return finish(table, rejects)


@contextmanager
def _unchanged(path: Path, listed: ShardFile | None) -> Iterator[None]:
    """Raises PoolFileChanged if the file is another one, was written to or is gone when the block ends or fails to read
    it, or is another one than was listed before it begins."""
    before = _version(path)
    if listed is not None and (before is None or before[:2] != (listed.size, listed.mtime_ns)):
        raise PoolFileChanged(_changed(path))
    try:
        yield
    except (PoolFileError, FileNotFoundError) as error:
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
    return f"{path}: was written to, replaced or removed while it was read; it is read again once it is complete"


def _nothing_usable(path: Path, summary: ConversionSummary, first: Rejection | None) -> str:
    reasons = ", ".join(f"{kind} ({count:,})" for kind, count in summary.reasons.items())
    place = f"; the first: record {first.record}: {first.reason}" if first else ""
    found = f"none of its {summary.read:,} records is usable ({reasons or 'there are none'}{place})"
    return f"{path}: read as {summary.format}, {found}. {EXPECTED}"
