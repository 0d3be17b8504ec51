"""``adg plan``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adg_pipeline.cli.options import as_json, budget_flag, open_store, preset_option, require_known, set_option
from adg_pipeline.cli.output import print_rows, say

if TYPE_CHECKING:
    from adg_pipeline.algorithms.costs import Planned, Prices, Profile, Work
    from adg_pipeline.orchestration.planning.took import Took

OTHER_SAMPLES, OTHER_LENGTHS, OTHER_BUDGETS = (2, 3, 4, 5, 7, 10), (64, 128, 256, 512), (0.5, 2.0)


def two_prices(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        read, written = (float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter("two numbers with a comma between them, such as 0.2,0.6") from error
    if min(read, written) < 0:
        raise click.BadParameter("a price is at least 0")
    return read, written


per_hour_option = click.option(
    "--per-hour", type=click.FloatRange(min=0), help="Money for an hour of a GPU, or of the machine where none is used."
)
per_million_option = click.option(
    "--per-million", callback=two_prices, metavar="READ,WRITTEN", help="A server's prices for a million tokens."
)


@click.command(short_help="What a run will take, before anything is spent; and afterwards, what it took.")
@click.option("--arm", default="adg", show_default=True, help="Subset that is to be made.")
@click.option("--budget", type=click.IntRange(min=1), help="Examples to select (selected_subset.budget).")
@click.option("--train", is_flag=True, help="Plan a training on the subset as well.")
@click.option("--profile", type=click.Path(path_type=Path), help="Rates measured elsewhere, instead of measuring here.")
@click.option("--write-profile", type=click.Path(path_type=Path), help="Write what was measured, for --profile.")
@click.option("--examples", type=click.IntRange(min=2), help="Examples to measure on; two batches by default.")
@click.option("--measure", "anew", is_flag=True, help="Measure, whatever stored shards or the last plan tell.")
@click.option("--took", is_flag=True, help="What was planned last beside what the run took since.")
@per_hour_option
@per_million_option
@preset_option
@set_option
@as_json
def plan(
    arm: str,
    budget: int | None,
    train: bool,
    profile: Path | None,
    write_profile: Path | None,
    examples: int | None,
    anew: bool,
    took: bool,
    per_hour: float | None,
    per_million: tuple[float, float] | None,
    preset: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Tokens, time, GPU-hours, disk and money of each stage of `adg run`, and how they change with K, answer length, budget.

    Where nothing tells yet how fast your engine is, a few examples are answered and embedded; the run finds their answers and
    doesn't pay for them again. Bins and selection aren't planned: they take seconds to minutes on the processor.
    """
    from adg_pipeline.algorithms.costs import Prices
    from adg_pipeline.lineage.in_force import DROP, optional_reads, require_read, settings_in_force
    from adg_pipeline.orchestration.instance import instance_home, open_instance
    from adg_pipeline.orchestration.planning.plan import keep_plan, kept_plan, make_plan, work_to_do
    from adg_pipeline.orchestration.planning.profile import find_profile, read_profile
    from adg_pipeline.orchestration.planning.took import what_it_took
    from adg_pipeline.orchestration.preflight import pool_to_run, require_ready
    from adg_pipeline.orchestration.runner import Runner
    from adg_pipeline.orchestration.terminal import open_terminal

    require_known([arm])
    store = open_store()
    if took:
        last = kept_plan(store, arm)
        if last is None:
            raise click.UsageError(f"nothing was planned for {arm} yet: `adg plan --arm {arm}`, then run")
        _print_took(what_it_took(store, last), last.made_at, as_json)
        return
    given = {override: f"--set {override}" for override in overrides}
    given |= budget_flag(budget)
    asked = settings_in_force(store, arm, given, preset=preset)
    require_read({arm: asked}, given)
    for difference in asked.differences:
        say(f"kept from an earlier run: {difference}; {DROP}")
    pool_to_run(store)
    settings, selection = asked.settings, asked.settings.selected_subset
    given_profile = None if profile is None else read_profile(profile)
    if given_profile is None:
        require_ready(settings, asked.origins, store, say, train=train, arms={arm: selection})
    with open_instance() as instance, open_terminal(instance_home()):
        runner = Runner(store, asked, instance, say, reads=optional_reads([selection]))
        states = runner.read_pool(runner.states(), "to see how much there is to do")
        work = work_to_do(store, states, settings, runner.wanted, 1 if train else 0)
        if not work.pool:
            raise click.ClickException("the pool has no examples: see `adg pool list`")
        runner.require_budget()
        found, had = (
            (given_profile, 0)
            if given_profile is not None
            else find_profile(store, settings, runner.wanted, list(states), work, examples, say, anew=anew)
        )
    if write_profile is not None:
        write_profile.write_text(found.model_dump_json(indent=2), encoding="utf-8")
    work = replace(work, answers=max(0, work.answers - had))
    made = make_plan(arm, work, found, list(states), runner.wanted, had)
    keep_plan(store, made)
    prices = Prices(per_hour, per_million)
    rows = [_row(stage, prices, found, work) for stage in made.stages]
    changes = list(_changes(found, work, prices))
    if as_json:
        told = {"arm": arm, "measured": found.measured, "examples": work.pool, "stages": rows, "changes": changes}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    click.echo(f"plan of {arm}: {work.pool:,} examples, rates of {found.measured}")
    if not rows:
        click.echo("nothing is left to compute")
        return
    print_rows([_shown(row) for row in [*rows, _total(rows)]], False)
    if changes:
        click.echo("\nwhat changes it")
        print_rows([_shown(row) for row in changes], False)
    say("bins and selection come on top: seconds to minutes of the processor")
    say(f"after the run: `adg plan --arm {arm} --took`")


def _row(stage: "Planned", prices: "Prices", profile: "Profile", work: "Work") -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "what": stage.what,
        "tokens": stage.tokens,
        "seconds": stage.seconds,
        "spread": stage.spread,
        "gpu_hours": stage.gpu_hours,
        "bytes": stage.bytes,
        "money": prices.of(stage, profile, work),
    }


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def summed(name: str) -> float | None:
        known = [row[name] for row in rows if row[name] is not None]
        return sum(known) if known else None

    incomplete = any(row["seconds"] is None for row in rows)
    what = "of what is known" if incomplete else ""
    sums = {name: summed(name) for name in ("seconds", "gpu_hours", "bytes", "money")}
    return {"stage": "all", "what": what, "tokens": None, "spread": 0.0, **sums}


def _changes(profile: "Profile", work: "Work", prices: "Prices") -> Iterator[dict[str, Any]]:
    """A row for each other setting: what all stages would take with it."""
    from adg_pipeline.algorithms.costs import TRAINING, planned

    def row(setting: str, other: "Work", stage: str = "generations") -> dict[str, Any]:
        stages = planned(profile, other)
        rows = [_row(one, prices, profile, other) for one in stages]
        tokens = next((one.tokens for one in stages if one.stage == stage), None)
        return {"setting": setting, **_total(rows), "tokens": tokens}

    whole = work.with_samples(work.samples)
    yield row("as set, nothing done yet", whole)
    if work.answers:
        for samples in OTHER_SAMPLES:
            if samples != work.samples:
                yield row(f"generations.samples={samples}", work.with_samples(samples))
        for longest in OTHER_LENGTHS:
            if longest < work.max_new_tokens:
                yield row(f"generations.max_new_tokens={longest}", replace(whole, max_new_tokens=longest))
    for factor in OTHER_BUDGETS if work.budget and work.budget_tokens is None else ():
        number = max(1, round(work.budget * factor))
        if number <= work.pool:
            yield row(f"selected_subset.budget={number}", replace(whole, budget=number), TRAINING)


def _shown(row: Mapping[str, Any]) -> dict[str, str | None]:
    """A row as people read it."""
    from adg_pipeline.progress import duration

    about = f" ± {row['spread']:.0%}" if row["spread"] else ""
    first = {"setting": row["setting"]} if "setting" in row else {"stage": row["stage"], "what": row["what"]}
    return {
        **first,
        "tokens": None if row["tokens"] is None else f"{row['tokens']:,.0f}{about}",
        "time": "not known" if row["seconds"] is None else duration(row["seconds"]),
        "GPU-hours": f"{row['gpu_hours']:,.2f}" if row["gpu_hours"] else None,
        "disk": None if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f} MB",
        "money": None if row["money"] is None else _money(row["money"]),
    }


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}"


def _print_took(rows: Sequence["Took"], made_at: str, as_json: bool) -> None:
    from adg_pipeline.orchestration.planning.took import Took
    from adg_pipeline.progress import duration

    if as_json:
        click.echo(json.dumps({"made_at": made_at, "stages": [asdict(row) for row in rows]}))
        return

    known = [row for row in rows if row.planned_seconds is not None and row.seconds is not None]
    if len(known) > 1:
        all_of_them = Took(
            "all", sum(row.planned_seconds or 0 for row in known), sum(row.seconds or 0 for row in known), *(None,) * 4
        )
        rows = [*rows, all_of_them]

    def off(planned: float | None, took: float | None) -> str | None:
        return f"{took / planned - 1:+.0%}" if planned and took is not None else None

    def told(value: float | None, spell: Any) -> str | None:
        return None if value is None else spell(value)

    click.echo(f"planned {made_at}, and what was computed since (opening models not counted)")
    print_rows(
        [
            {
                "stage": row.stage,
                "planned": told(row.planned_seconds, duration),
                "took": told(row.seconds, duration),
                "off": off(row.planned_seconds, row.seconds),
                "tokens planned": told(row.planned_tokens, "{:,.0f}".format),
                "were": told(row.tokens, "{:,.0f}".format),
                "off by": off(row.planned_tokens, row.tokens),
                "disk planned": told(row.planned_bytes, lambda value: f"{value / 1e6:,.1f} MB"),
                "is": told(row.bytes, lambda value: f"{value / 1e6:,.1f} MB"),
            }
            for row in rows
        ],
        False,
    )
