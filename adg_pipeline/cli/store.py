"""``adg store``."""

import json

import click

from adg_pipeline.cli.options import as_json, open_store
from adg_pipeline.cli.output import say


@click.group(short_help="Mend what the store remembers.")
def store() -> None:
    """What is about the store itself (docs/store.md)."""


@store.command(short_help="Make the ledger anew from the tables' own footers.")
@as_json
def repair(as_json: bool) -> None:
    """Make the ledger anew from the tables' own footers, and name damaged ones.

    No table is touched. The ledger mends itself wherever it and a table differ, so this is needed only where somebody
    doubts it.
    """
    from adg_pipeline.progress import ProgressLog

    kept = open_store()
    kept.require_pool()
    look = kept.ledger.rebuild(ProgressLog(say, "reading what is stored", "files"))
    stored = {asset: len(of_asset) for asset, of_asset in look.found.items() if of_asset}
    if as_json:
        click.echo(
            json.dumps({"stored": stored, "damaged": [str(damage) for damage in look.damages]}, ensure_ascii=False)
        )
    else:
        for asset, shards in stored.items():
            click.echo(f"{asset}: {shards:,} shards")
        for damage in look.damages:
            click.echo(f"damaged: {damage}")
    if look.damages:
        raise SystemExit(1)
