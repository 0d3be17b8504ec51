"""``adg arms``."""

import json

import click

from adg_pipeline.cli.options import as_json, open_store
from adg_pipeline.cli.output import print_details


@click.command(short_help="The ways to make a subset, and what each reads.")
@as_json
def arms(as_json: bool) -> None:
    """The ways to make a subset: what each does, the settings in which it differs, and what it reads.

    `adg run --arm NAME` makes its subset. Arms of your own stand in adg.yaml, under `arms:`.
    """
    from adg_pipeline.lineage.arms import described_arms

    rows = described_arms(open_store())
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['arm']}: {row['about']}")
        differs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in row["differs"].items())
        needs = [*(["reference_losses"] if row["reference_losses"] else []), *row["needs"]]
        print_details(sets=differs, reads=", ".join(row["reads"]), needs=", ".join(needs), source=row["source"])
