"""Adding files to the pool directory: whole, or as canonical JSONL shards of a given size."""

import filecmp
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from adg_pipeline.formats.convert import ConversionSummary, convert
from adg_pipeline.formats.errors import PoolFileChanged, ShardConflict
from adg_pipeline.formats.shards import (
    PoolListing,
    ShardFile,
    file_version,
    list_shards,
    shard_key,
    source_name,
    split_name,
)
from adg_pipeline.formats.staging import put_in_place, sha256_of
from adg_pipeline.formats.table import read_groups
from adg_pipeline.host.files import staging_directory
from adg_pipeline.progress import Progress
from adg_pipeline.settings.sections import RawPoolConfig

__all__ = [
    "PoolListing",
    "ShardFile",
    "ShardWritten",
    "add_to_pool",
    "file_version",
    "list_shards",
    "shard_key",
    "source_name",
]

REJECTS_FOLDER = ".rejects"


@dataclass(frozen=True)
class ShardWritten:
    """A shard of the pool. rows: its examples. changed: False if the same bytes lay there already.

    summary: of the whole file that the shard came from: read, accepted, rejected.
    """

    key: str
    path: Path
    rows: int
    changed: bool
    summary: ConversionSummary


def add_to_pool(
    file: Path,
    pool_dir: Path,
    rows_per_shard: int | None = None,
    limit: int | None = None,
    name: str | None = None,
    config: RawPoolConfig | None = None,
    progress: Progress | None = None,
) -> list[ShardWritten]:
    """Put a file into the pool directory, which is made if it is missing. Doing it again changes nothing.

    Without `rows_per_shard` and `limit` the file is copied as it is, under its shard key. With them its examples are
    written as ``<key>-00000.jsonl``, ``<key>-00001.jsonl``, …: the columns of `RAW_POOL_SCHEMA`, ids and source kept.
    Repeats are looked for in the whole file first, so the examples are the same for every shard size; what was rejected
    lies in ``.rejects/<key>.jsonl``. A file that has grown gives the same first shards.

    rows_per_shard: examples per shard, one shard if None. limit: only the first so many examples of those accepted.
    name: shard key and source instead of the file's own.

    Raises:
        PoolFileError: nothing in the file is usable.
        PoolFileChanged: the file was written to meanwhile.
        ShardConflict: the pool holds shards of this name that this call would leave beside the new ones.
    """
    for value, what in ((rows_per_shard, "rows_per_shard"), (limit, "limit")):
        if value is not None and value < 1:
            raise ValueError(f"{what} is {value}: it has to be at least 1")
    key = shard_key(name or file.name)
    source = source_name(Path(name or file.name))
    pool_dir.mkdir(parents=True, exist_ok=True)
    with staging_directory(pool_dir / key) as staging:
        table, rejects = staging / "table.parquet", staging / "rejects.jsonl"
        summary = convert(file, table, rejects, config or RawPoolConfig(), source=source, progress=progress)
        if rows_per_shard is None and limit is None:
            target = pool_dir / (key + split_name(file.name)[1].lower())
            return [_copy(file, target, key, staging, summary)]
        rows = min(limit or summary.accepted, summary.accepted)
        size = rows_per_shard or rows
        targets = [pool_dir / f"{key}-{number:05d}.jsonl" for number in range(-(-rows // size))]
        _refuse_leftovers(pool_dir, key, targets)
        lines = islice(_lines(table), rows)
        shards = [_write_shard(target, islice(lines, size), staging, summary) for target in targets]
        kept = pool_dir / REJECTS_FOLDER / f"{key}.jsonl"
        if summary.rejected:
            put_in_place(rejects, kept)
        else:
            kept.unlink(missing_ok=True)
    return shards


def _copy(file: Path, target: Path, key: str, staging: Path, summary: ConversionSummary) -> ShardWritten:
    _refuse_leftovers(target.parent, key, [target])
    changed = not target.exists() or sha256_of(target) != summary.sha256
    if changed:
        staged = staging / target.name
        shutil.copyfile(file, staged)
        if sha256_of(staged) != summary.sha256:
            raise PoolFileChanged(f"{file}: was written to while it was copied; add it again once it is complete")
        put_in_place(staged, target)
    return ShardWritten(key, target, summary.accepted, changed, summary)


def _write_shard(target: Path, lines: Iterator[str], staging: Path, summary: ConversionSummary) -> ShardWritten:
    staged = staging / target.name
    rows = 0
    with staged.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(line)
            rows += 1
    changed = not target.exists() or not filecmp.cmp(staged, target, shallow=False)
    if changed:
        put_in_place(staged, target)
    return ShardWritten(shard_key(target.name), target, rows, changed, summary)


def _lines(table: Path) -> Iterator[str]:
    for group in read_groups(table):
        for row in group.to_pylist():
            yield json.dumps(row, ensure_ascii=False) + "\n"


def _refuse_leftovers(pool_dir: Path, key: str, targets: list[Path]) -> None:
    """A pool with the file whole and in shards, or in shards of two sizes, would hold its records twice."""
    own = re.compile(re.escape(key) + r"(-\d{5,})?")
    planned = {target.name for target in targets}
    leftovers = sorted(
        path.name
        for path in pool_dir.iterdir()
        if not path.name.startswith(".") and path.name not in planned and own.fullmatch(shard_key(path.name))
    )
    if leftovers:
        shown = ", ".join(leftovers[:3]) + (f" and {len(leftovers) - 3} more" if len(leftovers) > 3 else "")
        raise ShardConflict(
            f"{pool_dir} already holds {shown}, beside which {key} would be in the pool twice: "
            "delete these files first, or add the new one under another name"
        )
