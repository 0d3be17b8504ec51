"""``adg run``: bring everything up to date."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from adg_pipeline.cli.options import as_json, budget_flag, open_store, preset_option, require_known, set_option
from adg_pipeline.cli.output import say

if TYPE_CHECKING:
    from adg_pipeline.orchestration.shard_ranges import ShardRange


class _Shards(click.ParamType):
    name = "range"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> "ShardRange":
        from adg_pipeline.orchestration.shard_ranges import ShardRange

        try:
            return ShardRange.parse(value)
        except ValueError as error:
            self.fail(str(error), param, context)


@click.command()
@click.option("--budget", type=click.IntRange(min=1), help="Examples to select (selected_subset.budget).")
@click.option("--arm", "arms", multiple=True, default=["adg"], show_default=True, help="Subset to make; repeatable.")
@click.option(
    "--shards",
    "part",
    type=_Shards(),
    metavar="A..B|I/N",
    help="Compute these alone and select nothing: shards with keys from A to B, or the I-th of N parts of the pool. For "
    "machines that share the work.",
)
@click.option("--train", is_flag=True, help="Fine-tune the backbone on the subset as well.")
@click.option("--retry", is_flag=True, help="Try shards again that were put aside.")
@click.option("--in-process/--multiprocess", "in_process", default=None, help="Where steps run; by default what fits.")
@click.option("--as-configured", is_flag=True, help="Drop what flags of earlier runs set: adg.yaml holds again.")
@preset_option
@set_option
@as_json
def run(
    budget: int | None,
    arms: Sequence[str],
    part: "ShardRange | None",
    train: bool,
    retry: bool,
    in_process: bool | None,
    as_configured: bool,
    preset: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Bring everything up to date: shards, scores, bins, subset. What is up to date is not computed again.

    What was made with flags is renewed with the same, until adg.yaml says something else or another flag is given.
    """
    from adg_pipeline.lineage.in_force import DROP, optional_reads, require_read, settings_in_force
    from adg_pipeline.lineage.left_out import in_words, left_out
    from adg_pipeline.orchestration.instance import beyond_this_host, instance_home, open_instance
    from adg_pipeline.orchestration.preflight import pool_to_run, require_ready
    from adg_pipeline.orchestration.run_health import dead_runs_ended
    from adg_pipeline.orchestration.runner import Runner, RunReport
    from adg_pipeline.orchestration.terminal import open_terminal

    require_known(arms)
    if part is not None and (budget or train):
        raise click.UsageError(
            "--shards computes a part of the pool and selects nothing: leave --budget and --train to a run without it"
        )
    given = {override: f"--set {override}" for override in overrides}
    given |= budget_flag(budget)
    store, report = open_store(), RunReport()
    asked = {name: settings_in_force(store, name, given, as_configured=as_configured, preset=preset) for name in arms}
    require_read(asked, given)
    for difference in dict.fromkeys(line for of in asked.values() for line in of.differences):
        say(f"kept from an earlier run: {difference}; {DROP}")
    listing = pool_to_run(store)
    first = asked[arms[0]]  # they differ in what is selected alone
    selections = {name: of.settings.selected_subset for name, of in asked.items()}
    require_ready(first.settings, first.origins, store, say, train=train, arms=selections)
    with open_instance() as instance, open_terminal(instance_home()), dead_runs_ended(instance, say):
        for said in beyond_this_host(instance):
            say(f"warning: {said}")
        reads = optional_reads(selections.values())
        runners = {name: Runner(store, of, instance, say, in_process, reads) for name, of in asked.items()}
        if retry:
            tried = set(store.quarantine.all()) if part is None else set(part.of(listing.shards))
            for shard in tried:
                store.quarantine.remove(shard)
        for runner in runners.values() if part is None else ():
            runner.require_budget()
        next(iter(runners.values())).bring_shards_up_to_date(report, part)
        if report.failed and part is None:
            say("nothing is selected while shards wait to be mended: the subset at hand stays as it is")
        for name, runner in runners.items() if part is None and not report.failed else ():
            runner.select(report)
            if train and name in report.selected:
                runner.train(report)
    for shard, why in report.shards_left_out.items():
        if not any(fault in why for fault in report.failed):
            say(f"warning: shard {shard} is left out: {why}")
    found = {name: lost for name in report.selected if (lost := left_out(store, name)) is not None}
    if as_json:
        click.echo(json.dumps({**asdict(report), "left_out": {name: asdict(lost) for name, lost in found.items()}}))
    else:
        click.echo(f"shards computed: {len(report.shards_computed)}")
        for name, count in report.selected.items():
            click.echo(f"{name}: {count} selected in {store.selection_dir(name)}")
            for line in in_words(found[name], store, name):
                click.echo(f"{name}: {line}")
        for name, path in report.checkpoints.items():
            click.echo(f"{name}: checkpoint in {path}")
    for fault in report.failed:
        say(f"failed: {fault}")
    if report.failed:
        say("`adg status` shows what is left to mend; the same command goes on from there")
        sys.exit(1)
    if not train and not as_json and report.selected:
        say(
            f"next: `adg run --train`, or `adg export --arm {next(iter(report.selected))} --format alpaca --out export`"
        )
    if report.shards_left_out:  # last, so that nobody takes the subset for one of the whole pool
        keys = list(report.shards_left_out)
        named = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
        say(f"{len(keys)} shards of the pool take no part: {named}; `adg status` shows why and the mend")
