"""``adg dev``."""

import sys
from pathlib import Path

import click

from adg_pipeline.cli.options import open_store


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI.")
def dev(port: int) -> None:
    """Open Dagster's UI on 127.0.0.1, with its sensors on.

    Ends on Ctrl-C or SIGTERM and with whoever started it, and leaves no process behind. Under nohup it goes on.
    """
    from adg_pipeline.host.services import serve
    from adg_pipeline.orchestration.instance import open_instance

    open_store().pool_dir.mkdir(parents=True, exist_ok=True)
    with open_instance():
        pass  # a new home gets its settings before Dagster looks for them
    workspace = Path(__file__).resolve().parents[2] / "workspace.yaml"
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    sys.exit(serve(command))
