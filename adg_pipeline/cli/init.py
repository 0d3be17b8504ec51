"""``adg init``."""

import os
from pathlib import Path

import click


@click.command(short_help="Write an adg.yaml in which every setting is explained.")
def init() -> None:
    """Write adg.yaml (or the file that $ADG_CONFIG names) with every setting, its meaning, default and bounds.

    All of it is commented out, so nothing changes until you do. A file that is there stays.
    """
    from adg_pipeline.errors import PipelineError
    from adg_pipeline.settings.loading import DEFAULT_FILE
    from adg_pipeline.settings.template import settings_template

    path = Path(os.environ.get("ADG_CONFIG") or DEFAULT_FILE)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(settings_template())
    except FileExistsError as error:
        raise PipelineError(f"{path} is there already: move it away first, or look at docs/configuration.md") from error
    click.echo(path)
