"""``adg status``."""

import atexit
import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from adg_pipeline.cli.options import as_json, open_store, set_option
from adg_pipeline.cli.output import print_details, print_rows, say, wrapped

NAMED = 5  # shards that are named of those that share a state and its reason

# What needs attention first.
ORDER = ("damaged", "quarantined", "missing", "stale", "running", "current")


@contextmanager
def without_collection() -> Iterator[None]:
    """For a command that looks and ends: beside 10,000 shards, a third of its time went into looking for garbage, and half
    a second and more into doing so once again as the process ended."""
    enabled = gc.isenabled()
    gc.disable()
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@click.command(short_help="What is current, why the rest isn't, and the mend.")
@click.option("--all", "all_shards", is_flag=True, help="A row for every shard.")
@set_option
@as_json
@without_collection()
def status(all_shards: bool, overrides: Sequence[str], as_json: bool) -> None:
    """What is current of shards, subsets and checkpoints, why the rest isn't, and the command that mends it."""
    from adg_pipeline.algorithms.funnel import in_words
    from adg_pipeline.lineage.in_force import DROP, settings_in_force
    from adg_pipeline.orchestration.preflight import preflight_faults
    from adg_pipeline.orchestration.status import pool_status

    store, flags = open_store(), {override: f"--set {override}" for override in overrides}
    store.require_pool()
    shared = settings_in_force(store, flags=flags)
    for fault in preflight_faults(shared.settings, shared.origins, store, say):
        say(f"warning: `adg run` would stop here: {fault}")
    for difference in shared.differences:
        say(f"kept from an earlier run: {difference}; {DROP}")
    tables = pool_status(store, flags, say)
    if as_json:
        click.echo(json.dumps(tables, ensure_ascii=False))
        return
    if all_shards:
        print_rows(tables["shards"], as_json)
    else:
        click.echo(f"pool: {len(tables['shards']):,} shards in {store.place('pool')}")
        for line in summary(tables["shards"]):
            click.echo(line)
    for row in tables["subsets"]:
        made = f", {row['examples']:,} examples, made {row['made']}" if row["subset"] else ""
        click.echo(f"subset {row['arm']}: {row['state']}{made}")
        steps = row.get("funnel")
        print_details(
            id=row["subset"], of=in_words(steps) if steps else "", kept=_kept(row), why=row["why"], mend=row["mend"]
        )
    for row in tables["checkpoints"]:
        made = "" if row["made"] is None else f", {row['examples']:,} examples, made {row['made']}"
        click.echo(f"checkpoint {row['arm']}, seed {row['seed']}: {row['state']}{made}")
        print_details(subset=row["subset"], why=row["why"], mend=row["mend"])
    for row in tables["results"]:
        asked = (
            row["suite"] if row["limit"] is None else f"{row['suite']}, a quick look at {row['limit']} questions a task"
        )
        score = "" if row["average"] is None else f", {row['average']} on average"
        click.echo(f"results {row['arm']}, seed {row['seed']}, {asked}: {row['state']}{score}, made {row['made']}")
        print_details(why=row["why"], mend=row["mend"])


def summary(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines: shards that share a state, its reason and its mend, what needs attention first."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["state"], row["why"], row["mend"]), []).append(row)
    for (state, why, mend), shards in sorted(
        groups.items(), key=lambda group: (ORDER.index(group[0][0]), -len(group[1]))
    ):
        examples = sum(row["raw_pool"] for row in shards if isinstance(row["raw_pool"], int))
        counted = f": {examples:,} examples" if state == "current" else ""
        yield f"  {len(shards):,} {state}{counted}"
        if state != "current":
            names = ", ".join(row["shard"] for row in shards[:NAMED])
            more = f" and {len(shards) - NAMED:,} more (`adg status --all`)" if len(shards) > NAMED else ""
            yield from wrapped("shards", names + more)
            yield from wrapped("why", why)
            yield from wrapped("mend", mend)


def _kept(row: dict[str, object]) -> str | None:
    from adg_pipeline.settings.kept import in_words

    kept = row["kept"]
    assert isinstance(kept, dict)
    return ", ".join(in_words(key, one).removeprefix("selected_subset.") for key, one in kept.items()) or None
