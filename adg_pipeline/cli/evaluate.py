"""``adg evaluate``: benchmarks of an arm's checkpoint, or of any model."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adg_pipeline.cli.options import as_json, open_store, preset_option, require_known, set_option
from adg_pipeline.cli.output import print_rows, say

if TYPE_CHECKING:
    from adg_pipeline.orchestration.runner import RunReport
    from adg_pipeline.store import Store


@click.command(short_help="Ask a checkpoint or any model the benchmarks of a suite.")
@click.argument("model", required=False)
@click.option("--arm", "arms", multiple=True, help="Evaluate the checkpoint of this arm; repeatable.")
@click.option(
    "--seed", "seeds", multiple=True, type=click.IntRange(min=0),
    help="Of the arm's checkpoints that of this seed; repeatable. That of the settings if not given.",
)  # fmt: skip
@click.option("--suite", help="paper, embedded, or a suite's YAML file (benchmark_results.suite).")
@click.option(
    "--task", "tasks", multiple=True, help="Only this task of the suite; repeatable (benchmark_results.tasks)."
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="A quick look: the first so many questions (benchmark_results.limit)."
)
@click.option("--run-code", is_flag=True, help="Run programs that the model writes (benchmark_results.run_code).")
@click.option("--revision", help="Revision of a hub model.")
@preset_option
@set_option
@as_json
def evaluate(
    model: str | None,
    arms: Sequence[str],
    seeds: Sequence[int],
    suite: str | None,
    tasks: Sequence[str],
    limit: int | None,
    run_code: bool,
    revision: str | None,
    preset: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Ask a model the benchmarks of a suite: that of an arm, or MODEL, a directory, a hub name, or `embedded`, the packaged
    backbone.

    What was answered is kept: an evaluation that was interrupted goes on where it was.
    """
    from adg_pipeline.report.figures import figures, quick_look
    from adg_pipeline.store.results import read_results

    if bool(model) == bool(arms):
        raise click.UsageError("name a model, or arms with --arm")
    asked = {
        "suite": suite,
        "limit": limit,
        "tasks": json.dumps(tasks) if tasks else None,
        "run_code": run_code or None,
    }
    given = {override: f"--set {override}" for override in overrides} | {
        f"benchmark_results.{key}={value}": f"--{key.replace('_', '-').removesuffix('s')} {value}"
        for key, value in asked.items()
        if value is not None
    }
    store = open_store()
    failed: list[str] = []
    if model:
        folders = {model: _of_model(store, model, revision, given, preset)}
    else:
        report = _of_arms(store, arms, seeds, given, preset)
        folders = {name: Path(folder) for name, folder in report.results.items()}
        failed = report.failed
    found = {name: results for name, folder in folders.items() if (results := read_results(folder)) is not None}
    if as_json:
        told = {
            name: {"folder": str(results.folder), "limit": results.limit, "figures": figures(results)}
            for name, results in found.items()
        }
        click.echo(json.dumps({"results": told, "failed": failed}, ensure_ascii=False))
    else:
        if found:
            print_rows([{"model": name, **row} for name, results in found.items() for row in figures(results)], as_json)
        for looked in {results.limit for results in found.values()} - {None}:
            say(quick_look(looked or 0))
        for results in found.values():
            say(f"samples and record: {results.folder}")
    for fault in failed:
        say(f"failed: {fault}")
    if failed:
        say("the same command goes on from there")
        sys.exit(1)


def _of_model(store: "Store", model: str, revision: str | None, given: Mapping[str, str], preset: str | None) -> Path:
    from adg_pipeline.lineage.in_force import settings_in_force
    from adg_pipeline.orchestration.evaluating import evaluate_here
    from adg_pipeline.resources.evaluator import find_model, plan_evaluation, require_evaluable

    config = settings_in_force(store, flags=given, preset=preset).settings.benchmark_results
    suite = require_evaluable(config, store.benchmark_data)
    found = find_model(model, revision)
    output = store.model_results_dir(found.label, suite.name, config.limit)
    return evaluate_here(plan_evaluation(found, output, store.benchmark_data, config), say)


def _of_arms(
    store: "Store", arms: Sequence[str], seeds: Sequence[int], given: Mapping[str, str], preset: str | None
) -> "RunReport":
    from adg_pipeline.lineage.in_force import DROP, settings_in_force
    from adg_pipeline.orchestration.instance import instance_home, open_instance
    from adg_pipeline.orchestration.run_health import dead_runs_ended
    from adg_pipeline.orchestration.runner import Runner, RunReport
    from adg_pipeline.orchestration.terminal import open_terminal
    from adg_pipeline.resources.evaluator import require_evaluable

    require_known(arms)
    report = RunReport()
    asked = {name: settings_in_force(store, name, given, preset=preset) for name in arms}
    for difference in dict.fromkeys(line for of in asked.values() for line in of.differences):
        say(f"kept from an earlier run: {difference}; {DROP}")
    for of in asked.values():
        require_evaluable(of.settings.benchmark_results, store.benchmark_data)
    with open_instance() as instance, open_terminal(instance_home()), dead_runs_ended(instance, say):
        for of in asked.values():
            runner = Runner(store, of, instance, say)
            for seed in seeds or [None]:  # type: ignore[list-item]
                runner.evaluate(report, seed)
    return report
