"""``adg pool``: what lies in the pool directory."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adg_pipeline.cli.options import as_json, open_store, read_settings, set_option
from adg_pipeline.cli.output import print_rows, say

if TYPE_CHECKING:
    from adg_pipeline.formats.collections import Collection
    from adg_pipeline.formats.convert import ConversionSummary


@click.group()
def pool() -> None:
    """The instruction pool: a directory of files, one shard each."""


@pool.command("add")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|FOLDER|hf:OWNER/NAME…")
@click.option("--rows-per-shard", type=click.IntRange(min=1), help="Split into shards of this many examples.")
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first N examples of each file.")
@click.option("--name", help="Shard key and source instead of the file's name; for one file.")
@click.option("--split", help="Split of a data set that has several: train.")
@click.option("--revision", help="Commit, tag or branch of a data set of the hub; the newest commit if left out.")
@click.option("--config", help="Configuration of a data set of the hub that has several.")
@click.option(
    "--with-folder", is_flag=True, help="Put the name of its folder before each file's: a-train for a/train.json."
)
@click.option("--replace", is_flag=True, help="Replace what the pool holds under the same key from elsewhere.")
@set_option
@as_json
def pool_add(
    sources: Sequence[str],
    rows_per_shard: int | None,
    limit: int | None,
    name: str | None,
    split: str | None,
    revision: str | None,
    config: str | None,
    with_folder: bool,
    replace: bool,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Add files to the pool, folders of files, folders that `datasets` saved, and data sets of the hub.

    Parquet files of one folder are one data set; of JSON, CSV and TSV each is added by itself. Adding the same again changes
    nothing; once it has changed, it replaces what it gave.
    """
    from adg_pipeline.formats.collections import Collection
    from adg_pipeline.formats.errors import PoolFileError
    from adg_pipeline.formats.split import add_collection, add_to_pool, names_in_pool
    from adg_pipeline.progress import ProgressLog

    store, settings = open_store(), read_settings(overrides)
    opened = {source: _opened(source, split, revision, config) for source in sources}
    files = [file for of_source in opened.values() for file in of_source]
    if name and len(files) > 1:
        raise click.UsageError(f"--name is for one file, {len(files)} are given")
    of_folders = {file for source, found in opened.items() if Path(source).is_dir() for file in found}
    names = {files[0]: name} if name else names_in_pool(files, with_folder=with_folder)
    added: list[Any] = []
    left_out: list[str] = []
    for file, its_name in names.items():
        where = (store.pool_dir, rows_per_shard, limit, its_name, settings.raw_pool)
        if isinstance(file, Collection):
            if file.beside:
                say(f"{file}: Parquet files alone make the data set, these are left alone: {', '.join(file.beside)}")
            progress = ProgressLog(say, str(file), "rows")
            written = add_collection(file, *where, progress, replace=replace, say=say)
        else:
            progress = ProgressLog(say, str(file), "bytes")
            try:
                written = add_to_pool(file, *where, progress, replace=replace, say=say)
            except PoolFileError as error:
                if file not in of_folders:
                    raise
                left_out.append(f"not added: {error}")  # nobody named it; the folder's other files go on
                continue
        say(f"{file}: {_counts(written[0].summary, limit)}")
        for note in written[0].summary.notes:
            say(f"{file}: {note}")
        added += written
    if as_json:
        click.echo(json.dumps([{**asdict(shard), "path": str(shard.path)} for shard in added]))
    else:
        for shard in added:
            click.echo(f"{shard.key}\t{'written' if shard.changed else 'unchanged'}\t{shard.path}")
    for fault in left_out:
        say(f"error: {fault}")
    if left_out:
        sys.exit(1)


def _opened(source: str, split: str | None, revision: str | None, config: str | None) -> "list[Path | Collection]":
    """What a source stands for: one file or data set, or each file of a folder of JSON, CSV or TSV."""
    from adg_pipeline.formats.collections import open_collection, text_files
    from adg_pipeline.formats.hub import HUB_PREFIX

    path = Path(source)
    if path.is_dir() and not (revision or config) and (files := text_files(source, split=split)):
        return list(files)
    if source.startswith(HUB_PREFIX) or path.is_dir():
        return [open_collection(source, split=split, revision=revision, config=config)]
    if not path.exists():
        raise click.BadParameter(f"{source} doesn't exist", param_hint="FILE")
    if not path.is_file() or not os.access(path, os.R_OK):
        raise click.BadParameter(f"{source} can't be read", param_hint="FILE")
    if split or revision or config:
        raise click.UsageError(f"--split, --revision and --config are for data sets, {source} is a file")
    return [path]


def _counts(counts: "ConversionSummary", limit: int | None) -> str:
    """What became of the file's records, in words: of those that were read."""
    from adg_pipeline.formats.fields import with_counts

    reasons = f"; {with_counts(counts.reasons)}" if counts.reasons else ""
    told = f"{counts.read} read = {counts.accepted} accepted + {counts.rejected} rejected{reasons}"
    return told if counts.complete else f"{told}; --limit {limit} is reached, the rest wasn't read"


@pool.command("list")
@as_json
def pool_list(as_json: bool) -> None:
    """List the shards: examples read, accepted and rejected, and the file."""
    from adg_pipeline.formats.shards import list_shards

    store = open_store()
    store.require_pool()
    listing, look = list_shards(store.pool_dir), store.look()
    rows = []
    for key, file in sorted(listing.shards.items()):
        stored = look.provenance("raw_pool", key)
        facts = stored.facts if stored else {}
        accepted = stored.rows if stored else None
        rows.append(
            {
                "shard": key,
                "file": file.path.name,
                "bytes": file.size,
                "format": facts.get("format"),
                "read": facts.get("read"),
                "accepted": accepted,
                "rejected": facts.get("rejected"),
            }
        )
    for problem in listing.problems:
        say(f"warning: {problem}")
    print_rows(rows, as_json)
