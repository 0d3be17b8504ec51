"""The command ``adg``: drives the same assets on the same Dagster instance as the UI.

Progress goes to stderr, results to stdout. Exit codes: 0 done, 1 failed, 2 bad arguments or settings.
Nothing heavy is imported before a command needs it, so that ``adg --help`` answers at once.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from adg_pipeline.resources.store import Store
    from adg_pipeline.settings import Settings

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a setting of adg.yaml; repeatable."
)


def say(text: str) -> None:
    """Progress and warnings, on stderr."""
    click.echo(text, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="adg-pipeline", prog_name="adg")
def adg() -> None:
    """Instruction-data selection by answer divergence.

    The pool lies in $ADG_DATA_DIR/pool (default data/pool), one file per shard. Settings come from adg.yaml, or from
    the file that $ADG_CONFIG names.
    """


@adg.command()
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path(".demo"), show_default=True)
def demo(directory: Path) -> None:
    """Run the whole graph on the embedded world and report what it found."""
    from adg_pipeline.demo.run import run_demo

    click.echo(run_demo(directory, say))


@adg.group()
def pool() -> None:
    """The instruction pool: a directory of files, one shard each."""


@pool.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rows-per-shard", type=click.IntRange(min=1), help="Split into shards of this many examples.")
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first N examples of each file.")
@set_option
@as_json
def pool_add(
    files: Sequence[Path], rows_per_shard: int | None, limit: int | None, overrides: Sequence[str], as_json: bool
) -> None:
    """Add FILES to the pool. Adding the same file again changes nothing."""
    from adg_pipeline.formats.split import add_to_pool
    from adg_pipeline.progress import ProgressLog

    store, settings = _store(), _settings(overrides)
    added: list[Any] = []
    for file in files:
        progress = ProgressLog(say, str(file), "bytes")
        written = add_to_pool(file, store.pool_dir, rows_per_shard, limit, config=settings.raw_pool, progress=progress)
        counts = written[0].summary
        reasons = "".join(f"; {number} × {reason}" for reason, number in counts.reasons.items())
        say(f"{file}: {counts.read} read = {counts.accepted} accepted + {counts.rejected} rejected{reasons}")
        added += written
    if as_json:
        click.echo(json.dumps([{**asdict(shard), "path": str(shard.path)} for shard in added]))
        return
    for shard in added:
        click.echo(f"{shard.key}\t{'written' if shard.changed else 'unchanged'}\t{shard.path}")


@pool.command("list")
@as_json
def pool_list(as_json: bool) -> None:
    """List the shards: examples read, accepted and rejected, and the file."""
    from adg_pipeline.formats.shards import list_shards

    store = _store()
    listing = list_shards(store.pool_dir)
    rows = []
    for key, file in sorted(listing.shards.items()):
        stored = store.provenance("raw_pool", key)
        facts = stored.facts if stored else {}
        accepted = stored.rows if stored else None
        rows.append(
            {
                "shard": key,
                "file": file.path.name,
                "bytes": file.size,
                "format": facts.get("format"),
                "read": facts.get("read"),
                "accepted": accepted,
                "rejected": facts.get("rejected"),
            }
        )
    for problem in listing.problems:
        say(f"warning: {problem}")
    _print_rows(rows, as_json)


@adg.command()
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
    from adg_pipeline.algorithms.selectors import SELECTORS
    from adg_pipeline.instance import open_instance
    from adg_pipeline.preflight import require_paths
    from adg_pipeline.run_health import dead_runs_ended
    from adg_pipeline.runner import Runner, RunReport
    from adg_pipeline.settings import load_with_origins

    unknown = set(selectors) - set(SELECTORS)
    if unknown:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}: known are {', '.join(SELECTORS)}", param_hint="--selector"
        )
    given = {override: f"--set {override}" for override in overrides}
    if budget:
        given[f"selected_subset.budget={budget}"] = f"--budget {budget}"
    settings, origins = load_with_origins(overrides=given)
    require_paths(settings, origins)
    store, report = _store(), RunReport()
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


@adg.command()
@set_option
@as_json
def status(overrides: Sequence[str], as_json: bool) -> None:
    """Each shard's state (current, missing, stale, running, quarantined), why, and the command that mends it."""
    from adg_pipeline.instance import open_instance
    from adg_pipeline.status import pool_status

    with open_instance() as instance:
        rows = pool_status(_store(), _settings(overrides), instance, say)
    _print_rows(rows, as_json)


@adg.command()
@click.argument("example_id")
@click.option("--selector", default="adg", show_default=True)
@as_json
def explain(example_id: str, selector: str, as_json: bool) -> None:
    """Why EXAMPLE_ID is in the subset or isn't: its record, answers, scores, bin, quota and origin."""
    from adg_pipeline.explain import explain_example

    explanation = explain_example(_store(), example_id, selector)
    if as_json:
        click.echo(json.dumps(explanation, ensure_ascii=False))
        return
    for section, content in explanation.items():
        if isinstance(content, dict):
            click.echo(f"{section}:")
            for key, value in content.items():
                click.echo(f"  {key}: {_shown(value)}")
        else:
            click.echo(f"{section}: {_shown(content)}")


@adg.command()
@click.option("--selector", default="adg", show_default=True)
@click.option(
    "--format",
    "format_",
    required=True,
    type=click.Choice(["alpaca", "messages", "parquet", "llamafactory"]),
    help="What the trainer reads.",
)
@click.option("--out", "out_dir", required=True, type=click.Path(file_okay=False, path_type=Path))
def export(selector: str, format_: Any, out_dir: Path) -> None:
    """Write a subset in the format of a trainer."""
    from adg_pipeline.errors import PipelineError
    from adg_pipeline.formats.exports import export_subset

    subset = _store().selection_dir(selector) / "subset.parquet"
    if not subset.exists():
        raise PipelineError(f"{subset}: no such subset; make it with `adg run --selector {selector}`")
    for path in export_subset(subset, format_, out_dir):
        click.echo(path)


def _store() -> "Store":
    from adg_pipeline.resources.store import Store, default_data_dir

    return Store(data_dir=default_data_dir())


def _settings(overrides: Sequence[str]) -> "Settings":
    from adg_pipeline.settings import load_settings

    return load_settings(overrides=overrides)


def _print_rows(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(list(rows), ensure_ascii=False))
        return
    if not rows:
        click.echo("the pool is empty")
        return
    texts = [[_shown(value) for value in row.values()] for row in rows]
    header = list(rows[0])
    widths = [max(len(row[place]) for row in [header, *texts]) for place in range(len(header))]
    for row in [header, *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. A fault that a user can mend is one line, without a traceback."""
    from pydantic import ValidationError

    command: Callable[..., Any] = adg
    try:
        command(args=arguments, standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        say("stopped; what was finished is kept, the same command goes on from there")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ValueError, RuntimeError, OSError) as error:
        from adg_pipeline.errors import PipelineError
        from adg_pipeline.settings import SettingsError

        if isinstance(error, SettingsError):
            say(f"error: {error}")
            sys.exit(2)
        if isinstance(error, ValidationError) or not _for_users(error, PipelineError):
            raise
        say(f"error: {error}")
        sys.exit(1)
    except Exception as error:
        from adg_pipeline.instance import instance_fault

        fault = instance_fault(error)
        if fault is None:
            raise
        say(f"error: {fault}")
        sys.exit(1)


def _for_users(error: Exception, base: type[Exception]) -> bool:
    """Whether the message says all that a user needs: our own errors, and the system's about files."""
    return isinstance(error, base | OSError) or type(error).__module__.startswith("adg_pipeline.")


if __name__ == "__main__":
    main()
