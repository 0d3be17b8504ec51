"""``adg evaluate``: benchmarks of any model."""

import json
from collections.abc import Sequence

import click

from adg_pipeline.cli.options import as_json, open_store, read_settings, set_option
from adg_pipeline.cli.output import print_rows, say


@click.command(short_help="Ask a model the benchmarks of a suite.")
@click.argument("model")
@click.option("--suite", help="paper, embedded, or a suite's YAML file (benchmark_results.suite).")
@click.option(
    "--task", "tasks", multiple=True, help="Only this task of the suite; repeatable (benchmark_results.tasks)."
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="A quick look: the first so many questions (benchmark_results.limit)."
)
@click.option("--run-code", is_flag=True, help="Run programs that the model writes (benchmark_results.run_code).")
@click.option("--revision", help="Revision of a hub model.")
@set_option
@as_json
def evaluate(
    model: str,
    suite: str | None,
    tasks: Sequence[str],
    limit: int | None,
    run_code: bool,
    revision: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Ask MODEL the benchmarks of a suite: a directory, a hub name, or `embedded`, the packaged backbone.

    What was answered is kept: an evaluation that was interrupted goes on where it was.
    """
    from adg_pipeline.host.gpu_leases import GpuLeases
    from adg_pipeline.report.figures import figures, quick_look
    from adg_pipeline.resources.evaluator import evaluate as run_evaluation
    from adg_pipeline.resources.evaluator import find_model, load_suite, plan_evaluation
    from adg_pipeline.store.results import read_results

    asked = {
        "suite": suite,
        "limit": limit,
        "tasks": json.dumps(tasks) if tasks else None,
        "run_code": run_code or None,
    }
    flags = [f"benchmark_results.{key}={value}" for key, value in asked.items() if value is not None]
    config = read_settings([*overrides, *flags]).benchmark_results
    store = open_store()
    found = find_model(model, revision)
    output = store.model_results_dir(found.label, load_suite(config.suite).only(config.tasks).name, config.limit)
    job = plan_evaluation(found, output, store.benchmark_data, config)
    count = 0 if config.device == "cpu" else config.gpus
    with GpuLeases().acquire(count, progress=say) as devices:
        run_evaluation(job, say, devices or None)
    results = read_results(output)
    assert results is not None
    rows = figures(results)
    if as_json:
        click.echo(json.dumps({"folder": str(output), "limit": results.limit, "figures": rows}, ensure_ascii=False))
        return
    print_rows(rows, as_json)
    if results.limit is not None:
        say(quick_look(results.limit))
    say(f"samples and record: {output}")
