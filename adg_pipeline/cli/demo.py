"""``adg demo``."""

from pathlib import Path

import click

from adg_pipeline.cli.output import say


@click.command(short_help="The whole graph on the embedded world, with a report.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path(".demo"), show_default=True)
def demo(directory: Path) -> None:
    """Run the whole graph on the embedded world and report what it found."""
    from adg_pipeline.demo.run import run_demo

    click.echo(run_demo(directory, say))
