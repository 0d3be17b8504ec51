"""``adg status``."""

from collections.abc import Sequence

import click

from adg_pipeline.cli.options import as_json, open_store, set_option
from adg_pipeline.cli.output import print_rows, say


@click.command()
@set_option
@as_json
def status(overrides: Sequence[str], as_json: bool) -> None:
    """Each shard's state (current, missing, stale, running, quarantined), why, and the command that mends it."""
    from adg_pipeline.orchestration.instance import open_instance
    from adg_pipeline.orchestration.preflight import preflight_faults
    from adg_pipeline.orchestration.status import pool_status
    from adg_pipeline.settings.loading import load_with_origins

    store = open_store()
    store.require_pool()
    settings, origins = load_with_origins(overrides={override: f"--set {override}" for override in overrides})
    for fault in preflight_faults(settings, origins, store, say):
        say(f"warning: `adg run` would stop here: {fault}")
    with open_instance(create=False) as instance:
        rows = pool_status(store, settings, instance, say)
    print_rows(rows, as_json)
