"""``adg pool``: what lies in the pool directory."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adg_pipeline.cli.options import as_json, open_store, read_settings, set_option
from adg_pipeline.cli.output import print_rows, say

if TYPE_CHECKING:
    from adg_pipeline.formats.convert import ConversionSummary


@click.group()
def pool() -> None:
    """The instruction pool: a directory of files, one shard each."""


@pool.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rows-per-shard", type=click.IntRange(min=1), help="Split into shards of this many examples.")
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first N examples of each file.")
@click.option("--name", help="Shard key and source instead of the file's name; for one file.")
@click.option(
    "--with-folder", is_flag=True, help="Put the name of its folder before each file's: a-train for a/train.json."
)
@click.option("--replace", is_flag=True, help="Replace what the pool holds under the same key from elsewhere.")
@set_option
@as_json
def pool_add(
    files: Sequence[Path],
    rows_per_shard: int | None,
    limit: int | None,
    name: str | None,
    with_folder: bool,
    replace: bool,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Add FILES to the pool. Adding the same file again changes nothing, once it has changed replaces what it gave."""
    from adg_pipeline.formats.split import add_to_pool, names_in_pool
    from adg_pipeline.progress import ProgressLog

    store, settings = open_store(), read_settings(overrides)
    if name and len(files) > 1:
        raise click.UsageError(f"--name is for one file, {len(files)} are given")
    names = {files[0]: name} if name else names_in_pool(files, with_folder=with_folder)
    added: list[Any] = []
    for file, its_name in names.items():
        written = add_to_pool(
            file,
            store.pool_dir,
            rows_per_shard,
            limit,
            its_name,
            settings.raw_pool,
            ProgressLog(say, str(file), "bytes"),
            replace=replace,
            say=say,
        )
        say(f"{file}: {_counts(written[0].summary, limit)}")
        for note in written[0].summary.notes:
            say(f"{file}: {note}")
        added += written
    if as_json:
        click.echo(json.dumps([{**asdict(shard), "path": str(shard.path)} for shard in added]))
        return
    for shard in added:
        click.echo(f"{shard.key}\t{'written' if shard.changed else 'unchanged'}\t{shard.path}")


def _counts(counts: "ConversionSummary", limit: int | None) -> str:
    """What became of the file's records, in words: of those that were read."""
    reasons = "".join(f"; {number} × {reason}" for reason, number in counts.reasons.items())
    told = f"{counts.read} read = {counts.accepted} accepted + {counts.rejected} rejected{reasons}"
    return told if counts.complete else f"{told}; --limit {limit} is reached, the rest wasn't read"


@pool.command("list")
@as_json
def pool_list(as_json: bool) -> None:
    """List the shards: examples read, accepted and rejected, and the file."""
    from adg_pipeline.formats.shards import list_shards

    store = open_store()
    store.require_pool()
    listing = list_shards(store.pool_dir)
    rows = []
    for key, file in sorted(listing.shards.items()):
        stored = store.provenance("raw_pool", key)
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
