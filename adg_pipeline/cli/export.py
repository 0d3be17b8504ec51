"""``adg export``."""

from pathlib import Path

import click

from adg_pipeline.cli.options import open_store, require_known
from adg_pipeline.cli.output import say

# Those of `formats.exports`, which takes a while to import; a test holds the two together.
FORMATS = ("alpaca", "messages", "parquet", "llamafactory", "axolotl", "trl", "trl-messages", "openai", "datasets")


@click.command(short_help="Write a subset in the format of a trainer.")
@click.option("--arm", default="adg", show_default=True, help="The subset of this arm.")
@click.option(
    "--format",
    "format_",
    required=True,
    type=click.Choice(FORMATS),
    help="What the trainer reads.",
)
@click.option("--card", is_flag=True, help="Write README.md as well: provenance and counts, as the hub shows them.")
@click.option("--replace", is_flag=True, help="Overwrite another export of the same name.")
@click.option("--out", "out_dir", required=True, type=click.Path(file_okay=False, path_type=Path))
def export(arm: str, format_: str, card: bool, replace: bool, out_dir: Path) -> None:
    """Write a subset in the format of a trainer, to a file that is named after its arm."""
    from adg_pipeline.errors import PipelineError
    from adg_pipeline.formats.exports import export_subset
    from adg_pipeline.formats.exports.card import CARD, card_of
    from adg_pipeline.formats.exports.writing import put_text
    from adg_pipeline.store.selections import content_id, read_manifest

    store = open_store()
    require_known([arm], store.arms())
    subset = store.selection_dir(arm) / "subset.parquet"
    if not subset.exists():
        store.require_pool()
        raise PipelineError(f"{subset}: no such subset; make it with `adg run --arm {arm}`")
    store.require_selection(arm)
    said: list[str] = []
    files = export_subset(subset, format_, out_dir, f"{arm}_subset", replace=replace, say=said.append)
    for line in said:
        say(line)
    if card:
        manifest = read_manifest(store.selection_dir(arm)) or {}
        put_text(out_dir / CARD, card_of(manifest, content_id(manifest), files, said), replace)
        files.append(out_dir / CARD)
    for path in files:
        click.echo(path)
