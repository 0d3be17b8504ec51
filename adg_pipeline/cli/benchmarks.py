"""``adg benchmarks``: the data that checkpoints are evaluated on."""

import json
from pathlib import Path

import click

from adg_pipeline.cli.options import as_json, open_store
from adg_pipeline.cli.output import say


@click.group()
def benchmarks() -> None:
    """The data that checkpoints are evaluated on."""


@benchmarks.command(short_help="Lay out the benchmarks' data, from a folder or from the hub.")
@click.option(
    "--from", "source", type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the benchmarks' own files; without it they are fetched from the hub.",
)  # fmt: skip
@click.option(
    "--out", "out_dir", type=click.Path(file_okay=False, path_type=Path),
    help="Where to put it; benchmark_data in the data directory if not given.",
)  # fmt: skip
@as_json
def prepare(source: Path | None, out_dir: Path | None, as_json: bool) -> None:
    """Lay out the data of the paper's six benchmarks, so that `adg evaluate` needs no network.

    From the hub each dataset is taken at a pinned revision. docs/evaluation.md lists the files that a folder may hold.
    """
    from adg_pipeline.resources.evaluator.prepare import prepare_from_folder, prepare_from_hub

    target = out_dir or open_store().benchmark_data
    record = prepare_from_folder(source, target, say) if source else prepare_from_hub(target, say)
    if as_json:
        click.echo(json.dumps(record))
    else:
        click.echo(f"{len(record)} benchmarks in {target}")
