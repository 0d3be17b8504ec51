"""``adg status``."""

from collections.abc import Sequence

import click

from adg_pipeline.cli.options import as_json, open_store, read_settings, set_option
from adg_pipeline.cli.output import print_rows, say


@click.command()
@set_option
@as_json
def status(overrides: Sequence[str], as_json: bool) -> None:
    """Each shard's state (current, missing, stale, running, quarantined), why, and the command that mends it."""
    from adg_pipeline.orchestration.instance import open_instance
    from adg_pipeline.orchestration.status import pool_status

    with open_instance() as instance:
        rows = pool_status(open_store(), read_settings(overrides), instance, say)
    print_rows(rows, as_json)
