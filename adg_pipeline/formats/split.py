"""Adding files to the pool directory: whole, or as canonical JSONL shards of a given size."""

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from adg_pipeline.formats.collections import Collection, write_rows
from adg_pipeline.formats.convert import ConversionSummary, convert
from adg_pipeline.formats.errors import PoolFileChanged, PoolFileError, ShardConflict
from adg_pipeline.formats.layout import detect_layout
from adg_pipeline.formats.origins import ORIGINS_FOLDER, Origin, read_origin, write_origin
from adg_pipeline.formats.shards import shard_key, source_name, split_name
from adg_pipeline.formats.staging import put_in_place, sha256_of
from adg_pipeline.formats.table import read_groups
from adg_pipeline.host.disk import disk_faults
from adg_pipeline.host.files import locked, staging_directory
from adg_pipeline.host.shared_files import all_at_hand, names_in, remove
from adg_pipeline.progress import Progress
from adg_pipeline.settings.sections import RawPoolConfig

REJECTS_FOLDER = ".rejects"
ROWS_PER_SHARD = 1000


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


@dataclass(frozen=True)
class _Staged:
    """A file that is to be in the pool under `name`. content: where its bytes lie."""

    name: str
    content: Path
    sha256: str
    rows: int


def add_to_pool(
    file: Path,
    pool_dir: Path,
    rows_per_shard: int | None = None,
    limit: int | None = None,
    name: str | None = None,
    config: RawPoolConfig | None = None,
    progress: Progress | None = None,
    *,
    replace: bool = False,
    say: Callable[[str], None] = lambda text: None,
    collection: Collection | None = None,
) -> list[ShardWritten]:
    """Put a file into the pool directory, which is made if it is missing. Doing it again changes nothing.

    Without `rows_per_shard` and `limit` the file is copied as it is, under its shard key. With them its examples are
    written as ``<key>-00000.jsonl``, ``<key>-00001.jsonl``, …: the columns of `RAW_POOL_SCHEMA`, ids and source kept.
    Repeats are looked for first, so the examples are the same for every shard size; what was rejected lies in
    ``.rejects/<key>.jsonl``. A file that has grown gives the same first shards.

    What an earlier call made of the same file is replaced, shards that are no longer needed included, and `say` is told.
    Anything else under this key is replaced only if `replace` is set.

    rows_per_shard: examples per shard, one shard if None. limit: only the first so many examples; the rest of the file
    isn't read. name: shard key and source instead of the file's own. collection: what the file holds the rows of.

    Raises:
        PoolFileError: nothing in the file is usable.
        PoolFileChanged: the file was written to meanwhile.
        ShardConflict: under this key the pool holds something else.
        StoreError: the pool directory can't be written.
    """
    for value, what in ((rows_per_shard, "rows_per_shard"), (limit, "limit")):
        if value is not None and value < 1:
            raise ValueError(f"{what} is {value}: it has to be at least 1")
    config = config or RawPoolConfig()
    detect_layout(file, config)  # what is no pool file at all makes no pool directory either
    key = shard_key(name or file.name)
    source = source_name(Path(name or file.name))
    with disk_faults(pool_dir), staging_directory(pool_dir / key) as staging:
        table, rejects = staging / "table.parquet", staging / "rejects.jsonl"
        summary = convert(file, table, rejects, config, source=source, progress=progress, limit=limit)
        if rows_per_shard is None and limit is None:
            suffix = split_name(file.name)[1].lower()
            staged = [_copied(file, pool_dir / (key + suffix), staging, summary)]
        else:
            staged = list(_shards(table, key, summary.accepted, rows_per_shard or summary.accepted, staging))
        files = {new.name: new.sha256 for new in staged}
        noted = summary.noted if rows_per_shard is not None or limit is not None else {}
        came_from = collection.source if collection else str(file.resolve())
        revision = collection.revision if collection else None
        origin = Origin(came_from, files, summary.accepted, revision, noted=noted)
        with locked(pool_dir / ORIGINS_FOLDER / ".lock"):
            shards = _put(staged, pool_dir, key, origin, summary, replace, say)
            if rows_per_shard is not None or limit is not None:
                _keep_rejects(rejects, pool_dir / REJECTS_FOLDER / f"{key}.jsonl")
    return shards


def add_collection(
    collection: Collection,
    pool_dir: Path,
    rows_per_shard: int | None = None,
    limit: int | None = None,
    name: str | None = None,
    config: RawPoolConfig | None = None,
    progress: Progress | None = None,
    *,
    replace: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[ShardWritten]:
    """Put a data set of several files into the pool as canonical JSONL shards; otherwise like `add_to_pool`.

    rows_per_shard: `ROWS_PER_SHARD` if None. limit: rows beyond those that it takes aren't fetched, but for some.
    progress: called with (rows fetched, rows in all).
    """
    config = config or RawPoolConfig()
    name = name or collection.name
    with disk_faults(pool_dir), staging_directory(pool_dir / shard_key(name)) as staging:
        rows = staging / f"{shard_key(name)}.parquet"
        try:
            most = None if limit is None else 2 * limit + 100
            while not write_rows(collection, rows, most, progress) and limit is not None and most is not None:
                if convert(rows, staging / "t", staging / "r", config, limit=limit).accepted >= limit:
                    break
                most *= 8  # too many of them were rejected
            size = rows_per_shard or ROWS_PER_SHARD
            return add_to_pool(
                rows, pool_dir, size, limit, name, config, replace=replace, say=say, collection=collection
            )
        except PoolFileError as error:
            raise PoolFileError(str(error).replace(str(rows), str(collection))) from error


def names_in_pool(files: Sequence[Path | Collection], *, with_folder: bool = False) -> dict[Path | Collection, str]:
    """The name that each file or data set gets in the pool. The same file named twice is one.

    with_folder: ``a-train.json`` for ``a/train.json``. Raises ShardConflict where two files would have one shard key.
    """
    names: dict[Path | Collection, str] = {}
    claims: dict[str, list[Path | Collection]] = defaultdict(list)
    for file in {str(file.resolve()) if isinstance(file, Path) else file.source: file for file in files}.values():
        names[file] = file.name
        if with_folder and isinstance(file, Path):
            names[file] = f"{file.resolve().parent.name}-{file.name}"
        claims[shard_key(names[file])].append(file)
    for key, claiming in claims.items():
        if len(claiming) > 1:
            listed = " and ".join(str(file) for file in claiming)
            mend = (
                "give one of them another --name" if with_folder else "use --with-folder, or add one of them by --name"
            )
            raise ShardConflict(f"{listed} would have the same shard key {key}, so nothing was added: {mend}")
    return names


def _copied(file: Path, target: Path, staging: Path, summary: ConversionSummary) -> _Staged:
    """The file as it is. It is copied only where the pool doesn't hold these bytes already."""
    assert summary.sha256 is not None
    if target.is_file() and sha256_of(target) == summary.sha256:
        return _Staged(target.name, target, summary.sha256, summary.accepted)
    staged = staging / "copy"
    shutil.copyfile(file, staged)
    if sha256_of(staged) != summary.sha256:
        raise PoolFileChanged(f"{file}: was written to while it was copied; add it again once it is complete")
    return _Staged(target.name, staged, summary.sha256, summary.accepted)


def _shards(table: Path, key: str, examples: int, size: int, staging: Path) -> Iterator[_Staged]:
    lines = _lines(table)
    for number in range(-(-examples // size)):
        name = f"{key}-{number:05d}.jsonl"
        content = staging / name
        with content.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(islice(lines, size))
        yield _Staged(name, content, sha256_of(content), min(size, examples - number * size))


def _lines(table: Path) -> Iterator[str]:
    for group in read_groups(table):
        for row in group.to_pylist():
            yield json.dumps(row, ensure_ascii=False) + "\n"


def _put(
    staged: Sequence[_Staged],
    pool_dir: Path,
    key: str,
    origin: Origin,
    summary: ConversionSummary,
    replace: bool,
    say: Callable[[str], None],
) -> list[ShardWritten]:
    """Put files in place and remove what they replace. All that takes long was done before."""
    own = re.compile(re.escape(key) + r"(-\d{5,})?")
    files = [pool_dir / name for name in names_in(pool_dir) if own.fullmatch(shard_key(name))]
    at_hand = {path.name: sha256_of(path) for path in all_at_hand(files)}
    goes = {name: sha256 for name, sha256 in at_hand.items() if origin.files.get(name) != sha256}
    before = read_origin(pool_dir, key)
    if not replace:
        _require_own(goes, before, origin, pool_dir, key)
    if goes:
        known = f"{before.examples:,} examples" if before else "what was there"
        say(f"{key}: replaces {_listed(sorted(goes))}: {known} before, {origin.examples:,} examples now")
    shards = []
    for new in staged:
        changed = at_hand.get(new.name) != new.sha256
        if changed:
            put_in_place(new.content, pool_dir / new.name)
        shards.append(ShardWritten(shard_key(new.name), pool_dir / new.name, new.rows, changed, summary))
    for name in goes.keys() - origin.files.keys():
        remove(pool_dir / name)
    if before != origin:
        write_origin(pool_dir, key, origin)
    return shards


def _require_own(goes: dict[str, str], before: Origin | None, origin: Origin, pool_dir: Path, key: str) -> None:
    """Only what an earlier call made of the same source may be replaced unasked."""
    if before is not None and before.source == origin.source:
        goes = {name: sha256 for name, sha256 in goes.items() if before.files.get(name) != sha256}
        whose = "which was changed there since"
    else:
        whose = f"from {before.source}" if before else f"which is not known to come from {origin.source}"
    if goes:
        raise ShardConflict(
            f"{pool_dir} already holds {_listed(sorted(goes))} under the key {key}, {whose}: --replace puts the new one in "
            "its place, --name NAME keeps both"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _keep_rejects(rejects: Path, kept: Path) -> None:
    if rejects.exists():
        put_in_place(rejects, kept)
    else:
        remove(kept)
