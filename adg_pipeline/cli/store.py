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


@store.command(short_help="Delete damaged files or folders of the store.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def delete(names: tuple[str, ...]) -> None:
    """Delete files or folders of the store, named as they lie in it: raw_pool/part-1.parquet, selections/adg.

    `adg status` says which: what is damaged. The next run makes them again. Of an object store, both the objects and this
    machine's copies are deleted. The pool isn't touched.
    """
    from adg_pipeline.errors import PipelineError
    from adg_pipeline.host.shared_files import remove_all

    kept = open_store()
    kept.require_pool()
    paths = [(kept.root / name).resolve() for name in names]
    for name, path in zip(names, paths, strict=True):
        if not path.is_relative_to(kept.root) or path in (kept.root, kept.pool_dir) or kept.pool_dir in path.parents:
            raise PipelineError(f"{name}: nothing that the pipeline has made in {kept.place()}")
    for name, path in zip(names, paths, strict=True):
        if not remove_all(path):
            raise PipelineError(f"{kept.place(name)}: there is no such file or folder")
        say(f"deleted {kept.place(name)}")
