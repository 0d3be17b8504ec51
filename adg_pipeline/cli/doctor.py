"""``adg doctor``."""

import json
import sys
from collections.abc import Sequence

import click

from adg_pipeline.cli.options import as_json, open_store, set_option
from adg_pipeline.cli.output import print_details, say

SIGNS = {"ok": "ok", "warning": "warn", "fails": "FAILS"}


@click.command(short_help="Look at the installation and say what would fail.")
@click.option("--arm", default="adg", show_default=True, help="Whose needs are looked at.")
@set_option
@as_json
def doctor(arm: str, overrides: Sequence[str], as_json: bool) -> None:
    """Look at Python, disk, pool, GPUs, settings, template, Dagster's instance and benchmarks, and say what would fail.

    Each with its mend. Nothing is created, and no weights are loaded. Exit code 1 where something would fail.
    """
    from adg_pipeline.lineage.in_force import settings_in_force
    from adg_pipeline.orchestration.doctor import examine
    from adg_pipeline.orchestration.instance import open_instance

    store = open_store()
    in_force = settings_in_force(store, arm, {override: f"--set {override}" for override in overrides})
    with open_instance(create=False) as instance:
        looks = examine(store, in_force, instance, say)
    if as_json:
        click.echo(json.dumps([look.row() for look in looks], ensure_ascii=False))
    else:
        for look in looks:
            print_details(**{SIGNS[look.state]: f"{look.what}: {look.told}"})
    if any(look.state == "fails" for look in looks):
        sys.exit(1)
