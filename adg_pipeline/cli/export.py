"""``adg export``."""

from pathlib import Path
from typing import Any

import click

from adg_pipeline.cli.options import open_store, require_known
from adg_pipeline.cli.output import say


@click.command(short_help="Write a subset in the format of a trainer.")
@click.option("--arm", default="adg", show_default=True, help="The subset of this arm.")
@click.option(
    "--format",
    "format_",
    required=True,
    type=click.Choice(["alpaca", "messages", "parquet", "llamafactory"]),
    help="What the trainer reads.",
)
@click.option("--replace", is_flag=True, help="Overwrite another export of the same name.")
@click.option("--out", "out_dir", required=True, type=click.Path(file_okay=False, path_type=Path))
def export(arm: str, format_: Any, replace: bool, out_dir: Path) -> None:
    """Write a subset in the format of a trainer, to a file that is named after its arm."""
    from adg_pipeline.errors import PipelineError
    from adg_pipeline.formats.exports import export_subset

    store = open_store()
    require_known([arm], store.arms())
    subset = store.selection_dir(arm) / "subset.parquet"
    if not subset.exists():
        store.require_pool()
        raise PipelineError(f"{subset}: no such subset; make it with `adg run --arm {arm}`")
    store.require_selection(arm)
    for path in export_subset(subset, format_, out_dir, f"{arm}_subset", replace=replace, say=say):
        click.echo(path)
