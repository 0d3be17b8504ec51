"""``adg status``."""

import json
from collections.abc import Sequence

import click

from adg_pipeline.cli.options import as_json, open_store, set_option
from adg_pipeline.cli.output import print_rows, say


@click.command()
@set_option
@as_json
def status(overrides: Sequence[str], as_json: bool) -> None:
    """What is current of shards, subsets and checkpoints, why the rest isn't, and the command that mends it."""
    from adg_pipeline.lineage.in_force import DROP, settings_in_force
    from adg_pipeline.orchestration.instance import open_instance
    from adg_pipeline.orchestration.preflight import preflight_faults
    from adg_pipeline.orchestration.status import pool_status

    store, flags = open_store(), {override: f"--set {override}" for override in overrides}
    store.require_pool()
    shared = settings_in_force(store, flags=flags)
    for fault in preflight_faults(shared.settings, shared.origins, store, say):
        say(f"warning: `adg run` would stop here: {fault}")
    for difference in shared.differences:
        say(f"kept from an earlier run: {difference}; {DROP}")
    with open_instance(create=False) as instance:
        tables = pool_status(store, flags, instance, say)
    if as_json:
        click.echo(json.dumps(tables, ensure_ascii=False))
        return
    print_rows(tables["shards"], as_json)
    for name in ("subsets", "checkpoints"):
        if tables[name]:
            click.echo(f"\n{name}")
            print_rows([{**row, "kept": _kept(row)} if "kept" in row else row for row in tables[name]], as_json)


def _kept(row: dict[str, object]) -> str | None:
    from adg_pipeline.settings.kept import in_words

    kept = row["kept"]
    assert isinstance(kept, dict)
    return ", ".join(in_words(key, one).removeprefix("selected_subset.") for key, one in kept.items()) or None
