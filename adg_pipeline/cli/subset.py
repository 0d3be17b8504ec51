"""``adg subset``: the subsets at hand and before."""

import json
from dataclasses import asdict

import click

from adg_pipeline.cli.options import as_json, open_store, require_known
from adg_pipeline.cli.output import print_rows, say, shown

SHOWN = 20  # ids listed of what was added or removed


@click.group()
def subset() -> None:
    """Subsets at hand and before, each named by its content.

    A subset is named by the first digits of its id, or by its arm: then it is the current one.
    """


@subset.command("list")
@click.option("--arm", help="Only this arm's.")
@as_json
def subset_list(arm: str | None, as_json: bool) -> None:
    """List the subsets of every arm, the current one first, then the newest."""
    from adg_pipeline.lineage.subsets import all_subsets
    from adg_pipeline.settings.budget import budget_of
    from adg_pipeline.settings.kept import in_words

    store = open_store()
    store.require_pool()
    require_known([arm] if arm else [], store.arms())
    rows = []
    for one in all_subsets(store, arm):
        state = "before" if not one.current else "pinned" if store.is_pinned(one.arm) else "current"
        kept = [in_words(key, value) for key, value in one.manifest.get("kept", {}).items()]
        rows.append(
            {
                "arm": one.arm,
                "subset": one.id,
                "state": state,
                "examples": one.manifest["counts"]["selected"],
                "budget": budget_of(one.manifest["config"]),
                "pool": one.manifest["counts"]["pool"],
                "made": one.made_at,
                "otherwise than configured": kept if as_json else ", ".join(kept),
            }
        )
    if rows or as_json:
        print_rows(rows, as_json)
    else:
        say("there is no subset yet: `adg run` makes one")


@subset.command("diff")
@click.argument("a")
@click.argument("b")
@as_json
def subset_diff(a: str, b: str, as_json: bool) -> None:
    """What changes from subset A to subset B: examples, by source, and settings."""
    from adg_pipeline.lineage.subsets import compare, find_subset

    store = open_store()
    store.require_pool()
    before, after = find_subset(store, a), find_subset(store, b)
    found = compare(before, after)
    ends = {side: {"arm": one.arm, "subset": one.id} for side, one in (("a", before), ("b", after))}
    if as_json:
        click.echo(json.dumps({**ends, **asdict(found)}, ensure_ascii=False))
        return
    click.echo(f"{before.arm} {before.id} → {after.arm} {after.id}")
    click.echo(
        f"overlap {found.overlap:.3f}: {found.in_both:,} in both, {len(found.added):,} added, {len(found.removed):,} removed"
    )
    for key, (was, becomes) in found.settings.items():
        click.echo(f"{key}: {shown(was)} → {shown(becomes)}")
    if found.by_source:
        print_rows([{"source": source, **counts} for source, counts in found.by_source.items()], as_json)
    for title, ids in (("added", found.added), ("removed", found.removed)):
        if ids:
            more = f" … and {len(ids) - SHOWN:,} more (--json has all)" if len(ids) > SHOWN else ""
            click.echo(f"{title}: {' '.join(ids[:SHOWN])}{more}")


@subset.command("restore")
@click.argument("name", metavar="ID")
@click.option("--arm", help="Whose subset, where two have the same id.")
@as_json
def subset_restore(name: str, arm: str | None, as_json: bool) -> None:
    """Make subset ID current again, with the settings it was made with.

    It is pinned: sensors leave it as it is until `adg run` is called, which renews it with these settings.
    """
    from adg_pipeline.lineage.subsets import find_subset, restore

    store = open_store()
    store.require_pool()
    require_known([arm] if arm else [], store.arms())
    found = find_subset(store, name, arm)
    restore(store, found)
    row = {"arm": found.arm, "subset": found.id, "path": str(store.selection_dir(found.arm))}
    if as_json:
        click.echo(json.dumps(row))
    else:
        click.echo(f"{found.arm}: {found.id} is current and pinned, in {row['path']}")
