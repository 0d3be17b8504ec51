"""``adg probe``."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from adg_pipeline.cli.options import as_json, budget_flag, open_store, preset_option, require_known, set_option
from adg_pipeline.cli.output import print_rows, say

if TYPE_CHECKING:
    from adg_pipeline.orchestration.planning.probe import Probed
    from adg_pipeline.settings.loading import Settings
    from adg_pipeline.settings.sections import EmbeddingConfig

FEWEST, ENOUGH = 30, 100  # examples: fewer tell nothing; a share of a small pool is raised to so many


@click.command(short_help="How cheaper settings would do, from a sample answered with yours.")
@click.option("--arm", default="adg", show_default=True, help="Arm whose score is looked at.")
@click.option("--budget", type=click.IntRange(min=1), help="Examples to select (selected_subset.budget).")
@click.option(
    "--share", type=click.FloatRange(min=0, max=1, min_open=True), default=0.02, show_default=True,
    help="Share of the pool that is answered.",
)  # fmt: skip
@click.option("--examples", type=click.IntRange(min=FEWEST), help="So many examples instead of a share.")
@click.option(
    "--cut", "cuts", multiple=True, type=click.IntRange(min=1), help="Answer length to try; repeatable. [64, 128]"
)
@click.option(
    "--embedder", help="Other embedder to try: sentence_transformer, hidden_state, or a model's name or folder."
)
@preset_option
@set_option
@as_json
def probe(
    arm: str,
    budget: int | None,
    share: float,
    examples: int | None,
    cuts: Sequence[int],
    embedder: str | None,
    preset: str | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Fewer answers, shorter ones, another embedder: how well each ranks the pool as your setting does, and what it saves.

    A sample is answered with the full setting; all else is told from those answers, and a run doesn't pay for them again.
    """
    from adg_pipeline.algorithms.costs import REFERENCES
    from adg_pipeline.errors import SettingsError
    from adg_pipeline.lineage.in_force import DROP, optional_reads, require_read, settings_in_force
    from adg_pipeline.orchestration.instance import instance_home, open_instance
    from adg_pipeline.orchestration.planning.probe import CUTS, probe, require_parts
    from adg_pipeline.orchestration.planning.profile import completed
    from adg_pipeline.orchestration.planning.sample import draw_examples, measure
    from adg_pipeline.orchestration.preflight import pool_to_run, require_ready
    from adg_pipeline.orchestration.runner import Runner
    from adg_pipeline.orchestration.terminal import open_terminal

    require_known([arm])
    given = {override: f"--set {override}" for override in overrides}
    given |= budget_flag(budget)
    store = open_store()
    asked = settings_in_force(store, arm, given, preset=preset)
    require_read({arm: asked}, given)
    settings, selection = asked.settings, asked.settings.selected_subset
    require_parts(settings)
    for difference in asked.differences:
        say(f"kept from an earlier run: {difference}; {DROP}")
    pool_to_run(store)
    require_ready(settings, asked.origins, store, say, arms={arm: selection})
    other = _other_embedder(settings, embedder)
    with open_instance() as instance, open_terminal(instance_home()):
        runner = Runner(store, asked, instance, say, reads=optional_reads([selection]))
        states = runner.read_pool(runner.states(), "to draw a sample")
        pool = sum(state.assets["raw_pool"].rows for state in states.values() if state.put_aside is None)
        if selection.budget_tokens is not None:
            raise SettingsError(
                f"{asked.origins.of('selected_subset.budget_tokens')}: selected_subset.budget_tokens: a probe compares "
                "subsets of so many examples. Name a budget in examples: --budget N"
            )
        if selection.budget >= pool:
            raise SettingsError(
                f"{asked.origins.of('selected_subset.budget')}: selected_subset.budget is {selection.budget:,} and the pool "
                f"has {pool:,} examples: all are picked, so no setting picks better. Name the budget you mean: --budget N"
            )
        count = examples or max(ENOUGH, round(share * pool))
        drawn = draw_examples(store, list(states), count)
        say(
            f"asking for {drawn.height * settings.generations.samples:,} answers to {drawn.height} of {pool:,} examples"
        )
        shorter = sorted({cut for cut in cuts or CUTS if cut < settings.generations.max_new_tokens})
        measured = measure(store, settings, drawn, say, references=REFERENCES in runner.wanted, cuts=shorter)
        rates = completed(measured.profile, store, settings, runner.wanted)
        found = probe(replace(measured, profile=rates), settings, other, pool, say)
        found.left_out.extend(
            f"generations.max_new_tokens={cut}: the tokenizer isn't at hand (generations.backbone)"
            for cut in shorter
            if cut not in measured.cut
        )
    if as_json:
        click.echo(json.dumps({"arm": arm, **asdict(found)}))
        return
    _print(arm, found)


def _other_embedder(settings: "Settings", named: str | None) -> "EmbeddingConfig | None":
    """The one that is named, or the other kind; None where that needs a model that isn't here."""
    from adg_pipeline.settings.sections import EmbeddingConfig

    own = settings.embeddings
    kinds = ("sentence_transformer", "hidden_state")
    if named is not None and named not in kinds:
        return EmbeddingConfig(
            embedder="sentence_transformer", model=named, batch_size=own.batch_size, device=own.device
        )
    kind = named or kinds[1 - kinds.index(own.embedder)]
    if kind == "hidden_state" and not settings.generations.backbone_is_known:
        say("hidden_state isn't tried: the model behind the server isn't named (generations.backbone)")
        return None
    return EmbeddingConfig.model_validate({"embedder": kind, "batch_size": own.batch_size, "device": own.device})


def _print(arm: str, found: "Probed") -> None:
    from adg_pipeline.progress import duration

    rows = [
        {
            "setting": one.setting,
            "agreement": "-" if one.agreement is None else f"{one.agreement.value:.2f}",
            "95%": "-" if one.agreement is None else f"{one.agreement.low:.2f} to {one.agreement.high:.2f}",
            "overlap": f"{one.overlap:.2f}",
            "tokens": None if one.tokens is None else f"{one.tokens:,.0f}",
            "time": "not known" if one.seconds is None else duration(one.seconds),
            "saves": "-" if one.saves is None else f"{one.saves:.0%}",
        }
        for one in found.verdicts
    ]
    click.echo(f"probe of {arm}: {found.examples} of {found.pool:,} examples; tokens and time are of the whole pool")
    print_rows(rows, False)
    for line in found.left_out:
        click.echo(f"not tried: {line}")
    if any(one.agreement is None for one in found.verdicts):
        click.echo(
            f"{found.share:.0%} are picked. As far as {found.examples} examples tell, other answers with the same setting "
            "would pick others, so there is nothing to agree with: take a larger sample (--examples), or see whether the "
            "backbone knows such a pool at all."
        )
        return
    click.echo(
        f"{found.share:.0%} are picked. Other answers with the same setting would pick with a correlation of "
        f"{found.ceiling:.2f} to these, and agreement is a share of that; without one answer the pick overlaps itself by "
        f"{found.stability:.2f}: read overlaps against that."
    )
