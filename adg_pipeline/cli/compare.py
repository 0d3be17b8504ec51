"""``adg compare``."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from adg_pipeline.cli.options import as_json, budget_flag, open_store, preset_option, require_known, set_option
from adg_pipeline.cli.output import say


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    return [name for part in (value or "").split(",") if (name := part.strip())]


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int]:
    try:
        found = [int(name) for name in _names(context, parameter, value)]
    except ValueError as error:
        raise click.BadParameter("numbers with commas between them, such as 500,1000") from error
    if any(number < 1 for number in found):
        raise click.BadParameter("a budget is at least 1")
    return found


@click.command(short_help="Train and evaluate arms, and tell which is better and how sure that is.")
@click.option(
    "--arms", callback=_names, default="adg,random", show_default=True, help="Arms, with commas between them."
)
@click.option("--seeds", type=click.IntRange(1, 100), help="Trainings per arm (comparison_report.seeds).")
@click.option("--budget", "budgets", callback=_numbers, help="Examples to select; several, with commas, make a curve.")
@click.option("--suite", help="paper, embedded, or a suite's YAML file (benchmark_results.suite).")
@click.option("--limit", type=click.IntRange(min=1), help="A quick look: the first so many questions of each task.")
@click.option("--baseline", help="What the others are compared with (comparison_report.baseline).")
@click.option("--plan", "only_plan", is_flag=True, help="Say what is to be done and what that costs, and stop.")
@preset_option
@set_option
@as_json
def compare(
    arms: Sequence[str],
    seeds: int | None,
    budgets: Sequence[int],
    suite: str | None,
    limit: int | None,
    baseline: str | None,
    only_plan: bool,
    preset: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Which arm is better, and how sure that is: shards, subsets, checkpoints of every seed, benchmarks, and the report.

    What is up to date is not done again: the same command goes on where it was. The baseline is always compared with.
    """
    from adg_pipeline.algorithms.arms import with_budget
    from adg_pipeline.lineage.in_force import DROP, InForce, optional_reads, require_read, settings_in_force
    from adg_pipeline.orchestration.comparing import compare as bring_up_to_date
    from adg_pipeline.orchestration.comparing import to_do
    from adg_pipeline.orchestration.instance import instance_home, open_instance
    from adg_pipeline.orchestration.preflight import pool_to_run, require_ready
    from adg_pipeline.orchestration.run_health import dead_runs_ended
    from adg_pipeline.orchestration.runner import Runner, RunReport
    from adg_pipeline.orchestration.terminal import open_terminal
    from adg_pipeline.resources.evaluator import require_evaluable

    given = {override: f"--set {override}" for override in overrides}
    for key, value, said in (
        ("comparison_report.seeds", seeds, f"--seeds {seeds}"),
        ("comparison_report.baseline", baseline, f"--baseline {baseline}"),
        ("benchmark_results.suite", suite, f"--suite {suite}"),
        ("benchmark_results.limit", limit, f"--limit {limit}"),
    ):
        if value is not None:
            given[f"{key}={value}"] = said
    given |= budget_flag(budgets[0] if len(budgets) == 1 else None)
    store, report = open_store(), RunReport()
    against = settings_in_force(store, flags=given, preset=preset).settings.comparison_report.baseline
    require_known([*arms, against], option="--arms")
    arms = list(dict.fromkeys([*arms, against]))
    if len(budgets) > 1:
        arms = [with_budget(arm, budget) for arm in arms for budget in sorted(set(budgets))]
    given[f"comparison_report.arms={json.dumps(arms)}"] = "--arms"
    asked = {name: settings_in_force(store, name, given, preset=preset) for name in arms}
    require_read(asked, given)
    for difference in dict.fromkeys(line for of in asked.values() for line in of.differences):
        say(f"kept from an earlier run: {difference}; {DROP}")
    pool_to_run(store)
    first = asked[arms[0]]
    selections = {name: of.settings.selected_subset for name, of in asked.items()}
    require_ready(first.settings, first.origins, store, say, train=True, arms=selections)
    require_evaluable(first.settings.benchmark_results, store.benchmark_data)
    begins = first.settings.finetuned_checkpoint.seed
    trained = range(begins, begins + first.settings.comparison_report.seeds)
    reads = optional_reads(selections.values())
    with open_instance() as instance, open_terminal(instance_home()), dead_runs_ended(instance, say):

        def runner_of(of: InForce) -> Runner:
            return Runner(store, of, instance, say, reads=reads)

        todo = to_do(store, asked, trained, runner_of(first))
        for line in todo.in_words():
            say(f"plan: {line}")
        if only_plan:
            click.echo(json.dumps(asdict(todo)) if as_json else "\n".join(todo.in_words()))
            return
        for of in asked.values():
            runner_of(of).require_budget()
        bring_up_to_date(store, asked, trained, runner_of, report, say)
    if report.failed:
        for fault in report.failed:
            say(f"failed: {fault}")
        say("the same command goes on from there")
        sys.exit(1)
    folder = Path(report.comparison)
    if as_json:
        import polars as pl

        figures = pl.read_parquet(folder / "figures.parquet").to_dicts()
        click.echo(json.dumps({**asdict(report), "figures": figures}))
        return
    click.echo((folder / "comparison.md").read_text("utf-8").rstrip())
    say(f"report: {folder / 'index.html'}")
