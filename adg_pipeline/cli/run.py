"""``adg run``: bring everything up to date."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from adg_pipeline.cli.options import as_json, open_store, require_known, set_option
from adg_pipeline.cli.output import say


@click.command()
@click.option("--budget", type=click.IntRange(min=1), help="Examples to select (selected_subset.budget).")
@click.option("--selector", "selectors", multiple=True, default=["adg"], show_default=True, help="Subset to make.")
@click.option("--train", is_flag=True, help="Fine-tune the backbone on the subset as well.")
@click.option("--retry", is_flag=True, help="Try shards again that were put aside.")
@click.option("--in-process/--multiprocess", "in_process", default=None, help="Where steps run; by default what fits.")
@set_option
@as_json
def run(
    budget: int | None,
    selectors: Sequence[str],
    train: bool,
    retry: bool,
    in_process: bool | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Bring everything up to date: shards, scores, bins, subset. What is up to date is not computed again."""
    from adg_pipeline.orchestration.instance import open_instance
    from adg_pipeline.orchestration.preflight import pool_to_run, require_ready
    from adg_pipeline.orchestration.run_health import dead_runs_ended
    from adg_pipeline.orchestration.runner import Runner, RunReport
    from adg_pipeline.settings.loading import load_with_origins

    require_known(selectors)
    given = {override: f"--set {override}" for override in overrides}
    if budget:
        given[f"selected_subset.budget={budget}"] = f"--budget {budget}"
    settings, origins = load_with_origins(overrides=given)
    store, report = open_store(), RunReport()
    pool_to_run(store)
    require_ready(settings, origins, store, say, train=train)
    with open_instance() as instance, dead_runs_ended(instance, say):
        runner = Runner(store, settings, instance, say, in_process)
        if retry:
            for shard in store.quarantine.all():
                store.quarantine.remove(shard)
        runner.require_budget(origins)
        runner.bring_shards_up_to_date(report)
        if report.failed:
            say("nothing is selected while shards wait to be mended: the subset at hand stays as it is")
        for selector in selectors if not report.failed else ():
            runner.select(selector, report)
            if train and selector in report.selected:
                runner.train(selector, report)
    for shard, why in report.shards_left_out.items():
        if not any(fault in why for fault in report.failed):
            say(f"warning: shard {shard} is left out: {why}")
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        click.echo(f"shards computed: {len(report.shards_computed)}")
        for selector, count in report.selected.items():
            click.echo(f"{selector}: {count} selected in {store.selection_dir(selector)}")
        for selector, path in report.checkpoints.items():
            click.echo(f"{selector}: checkpoint in {path}")
    for fault in report.failed:
        say(f"failed: {fault}")
    if report.failed:
        sys.exit(1)
