"""Data sets that are more than one file: a folder of Parquet files, a folder that `datasets` saved, one of the hub.

Their rows are written to one Parquet file, which is then read like any other. No code of a data set is ever run. The files of
a folder of JSON, CSV or TSV are told, and each is added by itself.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.errors import PipelineError
from adg_pipeline.formats.errors import PoolFileError
from adg_pipeline.formats.hub import HUB_PREFIX, open_hub
from adg_pipeline.progress import Progress

BATCH_ROWS = 512
_TEXT = re.compile(r"\.(jsonl|ndjson|json|csv|tsv)(\.(gz|zst))?$", re.IGNORECASE)
# What the hub and `datasets` write beside the records.
_ABOUT = {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"}
_SPLIT = re.compile(r"(train|test|validation|valid|val|dev|eval)(?![A-Za-z0-9])", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Collection:
    """A data set that can be read from its beginning again and again.

    name: what its shards are called. source: where it lies, with its split. revision: of the hub. tables: its rows.
    rows: how many, if that is known. beside: files of records in its folder that aren't part of it.
    """

    name: str
    source: str
    tables: Callable[[], Iterator[pa.Table]]
    rows: int = 0
    revision: str | None = None
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.source


def open_collection(
    place: str, *, split: str | None = None, revision: str | None = None, config: str | None = None
) -> Collection:
    """Open a folder or ``hf:owner/name``. split, and config on the hub, may be left out where there is but one.

    Raises PoolFileError, with what there is to choose from, and PipelineError where the hub can't be reached.
    """
    if place.startswith(HUB_PREFIX):
        name = place.removeprefix(HUB_PREFIX)
        opened = open_hub(name, revision, config, split)
        parts = [name.rpartition("/")[2], *([config] if config else []), *([split] if split else [])]
        source = " ".join([place, *([config] if config else []), opened.split])
        return Collection("-".join(parts), source, opened.tables, opened.rows, opened.revision)
    if revision or config:
        raise PipelineError(
            f"--revision and --config are for data sets of the hub ({HUB_PREFIX}owner/name), not {place}"
        )
    folder = Path(place).resolve()
    found = _saved(folder) or _parquet(folder)
    chosen = _choose(place, found, split)
    name, source = folder.name, str(folder)
    if len(found) > 1:
        name, source = f"{name}-{chosen}", f"{source} {chosen}"
    beside = tuple(sorted(path.name for path in folder.iterdir() if _is_text(path)))
    return Collection(name, source, *found[chosen], beside=beside)


def text_files(place: str, *, split: str | None = None) -> list[Path]:
    """Files of JSON, CSV or TSV in a folder (or in the one folder of it that has any), by name, each to be added by itself.

    Empty for a folder of Parquet files, or one that `datasets` saved: these are one data set. split: only files whose names
    begin with it; to be given where there are several splits. Raises PoolFileError for a split that isn't there.
    """
    folder = Path(place).resolve()
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")) or _files_of(folder, _is_parquet):
        return []
    splits = _by_split(_files_of(folder, _is_text))
    return splits[_choose(place, splits, split)] if splits else []


def write_rows(collection: Collection, target: Path, most: int | None, progress: Progress | None = None) -> bool:
    """Write the rows, the first `most` of them if that is given, as Parquet; return whether these are all.

    progress: called with (rows written, rows in all; 0 if that isn't known).
    """
    written = 0
    writer: pq.ParquetWriter | None = None
    try:
        for table in collection.tables():
            if most is not None and written >= most:
                return False
            if writer is None:
                writer = pq.ParquetWriter(target, table.schema, compression="zstd")
            writer.write_table(_as(writer.schema, table, collection))
            written += table.num_rows
            if progress is not None:
                progress(written, max(collection.rows, written))
    finally:
        if writer is not None:
            writer.close()
    if not written:
        raise PoolFileError(f"{collection}: it has no rows")
    return True


def _as(schema: pa.Schema, table: pa.Table, collection: Collection) -> pa.Table:
    if table.schema.equals(schema):
        return table
    try:
        return pa.concat_tables([schema.empty_table(), table], promote_options="permissive").cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise PoolFileError(f"{collection}: its parts have columns of different kinds ({error})") from error


Found = Mapping[str, tuple[Callable[[], Iterator[pa.Table]], int]]


def _choose(place: str, found: Mapping[str, object], split: str | None) -> str:
    names = ", ".join(found)
    if split is None and len(found) == 1:
        return next(iter(found))
    if split is None:
        raise PoolFileError(f"{place} has the splits {names}: choose one with --split")
    if split not in found:
        raise PoolFileError(f"{place} has no split {split}; it has {names}")
    return split


def _saved(folder: Path) -> Found:
    """The splits of a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote; none if it is another."""
    if not any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return {}
    import datasets

    try:
        saved = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise PoolFileError(f"{folder}: a saved data set that can't be read ({error})") from error
    splits = saved if isinstance(saved, dict) else {str(saved.split or "all"): saved}
    return {name: (_arrow_tables(of), len(of)) for name, of in splits.items()}


def _arrow_tables(dataset: "datasets.Dataset") -> Callable[[], Iterator[pa.Table]]:  # type: ignore[name-defined]  # noqa: F821
    return lambda: dataset.with_format("arrow").iter(batch_size=BATCH_ROWS)


def _parquet(folder: Path) -> Found:
    """Splits of a folder of Parquet files by their names, as the hub has them; else all files are one."""
    files = _files_of(folder, _is_parquet)
    if not files:
        raise PoolFileError(
            f"{folder} holds no Parquet, JSON, CSV or TSV files and is no data set that `datasets` saved"
            + ("" if any(folder.iterdir()) else "; it is empty")
        )
    return {name: _parquet_tables(parts) for name, parts in _by_split(files).items()}


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet" and path.is_file()


def _is_text(path: Path) -> bool:
    return _TEXT.search(path.name) is not None and path.name.lower() not in _ABOUT and path.is_file()


def _by_split(files: list[Path]) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        named = _SPLIT.match(file.name)
        splits[named[1].lower() if named else "all"].append(file)
    return dict(sorted(splits.items()))


def _files_of(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Files of a kind in a folder, or in the only one of its folders that has any; none if there are none."""
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in inside if wanted(path)]
    if files:
        return files
    folders = [path for path in inside if path.is_dir() and any(map(wanted, path.iterdir()))]
    if len(folders) > 1:
        raise PoolFileError(f"{folder} has several folders of files: name one of {', '.join(map(str, folders))}")
    return _files_of(folders[0], wanted) if folders else []


def _parquet_tables(files: list[Path]) -> tuple[Callable[[], Iterator[pa.Table]], int]:
    try:
        footers = [pq.read_metadata(file) for file in files]
        schema = pa.unify_schemas([footer.schema.to_arrow_schema() for footer in footers], promote_options="permissive")
    except (pa.ArrowException, OSError) as error:
        raise PoolFileError(f"{files[0].parent}: Parquet files that can't be read together ({error})") from error

    def tables() -> Iterator[pa.Table]:
        yield schema.empty_table()
        for file in files:
            try:
                for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, use_threads=False):
                    yield pa.Table.from_batches([batch])
            except (pa.ArrowException, OSError) as error:
                raise PoolFileError(f"{file}: damaged Parquet data ({error})") from error

    return tables, sum(footer.num_rows for footer in footers)
