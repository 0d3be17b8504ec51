"""A list of examples that somebody gives, found again in the pool: ids, or records in any pool format."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from adg_pipeline.errors import SettingsError
from adg_pipeline.formats.convert import read_whole
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store

SETTING = "selected_subset.given"
_SHOWN = 60  # characters of a record that isn't found


@dataclass(frozen=True)
class Given:
    """ids: of the pool's examples, in the order of the list, each once. listed: entries of the list. missing: in words, the
    entries that no example of the pool is, or that several may be."""

    ids: Sequence[str]
    listed: int
    missing: Sequence[str]

    @property
    def warning(self) -> str | None:
        """What of the list takes no part; None where all of it does."""
        if not self.missing:
            return None
        return (
            f"{len(self.missing):,} of {self.listed:,} entries of the given list are not in the pool: {self.missing[0]}"
        )


def find_given(store: Store, shards: Sequence[str], config: SelectionConfig) -> Given:
    """The list of `selected_subset.given`. Raises SettingsError where there is no list, or the pool holds nothing of it."""
    if config.given is None:
        raise SettingsError(f"{SETTING} is not set: this arm takes a list of ids, or a pool file of examples")
    return find_listed(store, shards, config.given, SETTING)


def find_must_keep(store: Store, shards: Sequence[str], config: SelectionConfig) -> Given:
    """The list of `selected_subset.must_keep`; an empty one where none is set."""
    if config.must_keep is None:
        return Given([], 0, [])
    return find_listed(store, shards, config.must_keep, "selected_subset.must_keep")


def find_listed(store: Store, shards: Sequence[str], place: str, setting: str) -> Given:
    """The examples that a list names.

    A text file has an id a line, or is a JSON list of ids. Any other is read as pool files are, and a record is the example
    with its id, else with its content, else the only one with its instruction and output: some lists come without inputs.

    Raises SettingsError where there is no list, or the pool holds nothing of it.
    """
    path = Path(place)
    if not path.is_file():
        raise SettingsError(f"{setting}: there is no file {path.absolute()}")
    ids = ids_of(path)
    if ids is not None:
        known = set(store.scan("raw_pool", shards).select("example_id").collect()["example_id"])
        found = Given(
            list(dict.fromkeys(one for one in ids if one in known)),
            len(ids),
            [f"{path}, line {number}: {one}" for number, one in enumerate(ids, start=1) if one not in known],
        )
    else:
        found = _records_of(store, shards, path)
    if not found.ids:
        first = f", such as {found.missing[0]}" if found.missing else ""
        raise SettingsError(f"{setting}: the pool holds nothing of {path} ({found.listed:,} entries{first})")
    return found


def ids_of(path: Path) -> list[str] | None:
    """The ids of a file that holds nothing else; None where it holds records."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return None  # compressed, or Parquet
    if text.lstrip()[:1] == "[":
        try:
            listed = json.loads(text)
        except ValueError:
            return None
        return listed if all(isinstance(one, str) for one in listed) else None
    if path.suffix not in (".txt", ".ids", ""):
        return None
    return [line.strip() for line in text.splitlines() if line.strip()]


def records_found(store: Store, shards: Sequence[str], path: Path) -> tuple[pl.DataFrame, int, int]:
    """The records of a pool file: row (in the file, from 1), instruction and found, the id of the example that each is in the
    pool or null; and how many records were read, and rejected."""
    records, read = read_whole(path)
    listed = records.select("row", "example_id", "content_hash", "instruction", "input", "output")
    pool = (
        store.scan("raw_pool", shards)
        .select("example_id", "content_hash", "instruction", "output")
        .unique("example_id")
        .collect()
    )
    by_id = pool.select("example_id", own="example_id")
    by_content = pool.group_by("content_hash").agg(same=pl.col("example_id").min())
    alike = [pl.col(name).str.strip_chars() for name in ("instruction", "output")]
    # Only for records without input: one that has it is another question.
    by_text = pool.group_by(alike).agg(like=pl.col("example_id").min(), many=pl.len()).filter(pl.col("many") == 1)
    placed = (
        listed.join(by_id, on="example_id", how="left")
        .join(by_content, on="content_hash", how="left")
        .with_columns(alike)
        .join(by_text, on=["instruction", "output"], how="left")
        .sort("row")
        .with_columns(found=pl.coalesce("own", "same", pl.when(pl.col("input") == "").then("like")))
    )
    return placed.select("row", "instruction", "found"), read.read, read.rejected


def _records_of(store: Store, shards: Sequence[str], path: Path) -> Given:
    placed, read, rejected = records_found(store, shards, path)
    lost = placed.filter(pl.col("found").is_null())
    missing = [
        f"{path}, record {row}: {' '.join(text.split())[:_SHOWN]}"
        for row, text in lost.select("row", "instruction").iter_rows()
    ]
    missing += [f"{path}: a record that can't be read"] * rejected
    return Given(list(dict.fromkeys(placed["found"].drop_nulls())), read, missing)
