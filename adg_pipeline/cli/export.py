"""``adg export``."""

from pathlib import Path
from typing import Any

import click

from adg_pipeline.cli.options import open_store, require_known
from adg_pipeline.cli.output import say


@click.command(short_help="Write a subset in the format of a trainer.")
@click.option("--selector", default="adg", show_default=True)
@click.option(
    "--format",
    "format_",
    required=True,
    type=click.Choice(["alpaca", "messages", "parquet", "llamafactory"]),
    help="What the trainer reads.",
)
@click.option("--replace", is_flag=True, help="Overwrite another export of the same name.")
@click.option("--out", "out_dir", required=True, type=click.Path(file_okay=False, path_type=Path))
def export(selector: str, format_: Any, replace: bool, out_dir: Path) -> None:
    """Write a subset in the format of a trainer, to a file that is named after its selector."""
    from adg_pipeline.errors import PipelineError
    from adg_pipeline.formats.exports import export_subset

    require_known([selector])
    store = open_store()
    subset = store.selection_dir(selector) / "subset.parquet"
    if not subset.exists():
        store.require_pool()
        raise PipelineError(f"{subset}: no such subset; make it with `adg run --selector {selector}`")
    store.require_selection(selector)
    for path in export_subset(subset, format_, out_dir, f"{selector}_subset", replace=replace, say=say):
        click.echo(path)
