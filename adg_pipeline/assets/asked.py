"""What a run was asked for.

The command line spells out every value, and says in a tag what adg.yaml gave at the time. A sensor spells out none: what
holds is looked up when the run starts, so that nothing that was asked for while it was queued is undone. Somebody at the
launchpad spells out what he wants otherwise: that counts as a flag does.
"""

import json
from typing import Any

import dagster as dg
from pydantic import ValidationError

from adg_pipeline.errors import SettingsError
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.orchestration.runs import CONFIGURED_TAG
from adg_pipeline.settings.kept import Kept, spoken, to_keep
from adg_pipeline.settings.launchpad import SectionType, stage_config
from adg_pipeline.settings.sections import EvaluationConfig, GenerationConfig, ReferenceLossConfig, SelectionConfig
from adg_pipeline.store import Store


def generation_asked(context: dg.AssetExecutionContext, store: Store, configured: GenerationConfig) -> GenerationConfig:
    """How answers are sampled, for a step that isn't given it: as for `asked`, what is kept holds for a sensor's run too.

    configured: what the definitions were made with; the command line makes them anew with what was asked for.
    """
    return configured if CONFIGURED_TAG in context.run.tags else settings_in_force(store).settings.generations


def losses_asked(
    context: dg.AssetExecutionContext, store: Store, configured: ReferenceLossConfig
) -> ReferenceLossConfig:
    """How references are scored, likewise."""
    return configured if CONFIGURED_TAG in context.run.tags else settings_in_force(store).settings.reference_losses


def evaluation_asked(context: dg.AssetExecutionContext, store: Store, configured: EvaluationConfig) -> EvaluationConfig:
    """How checkpoints are evaluated, likewise."""
    return configured if CONFIGURED_TAG in context.run.tags else settings_in_force(store).settings.benchmark_results


def asked_of(
    context: dg.AssetExecutionContext, store: Store, section: type[SectionType], step: str, arm: str | None = None
) -> SectionType | None:
    """What another step of this run is asked for; None where the run has no such step, or its settings are at fault.

    arm: whose subset the step makes.
    """
    if not context.op_execution_context.job_def.has_node_named(step):
        return None
    run_config: Any = context.run.run_config
    spelt_out = run_config.get("ops", {}).get(step, {}).get("config", {})
    try:
        holds = (
            {}
            if CONFIGURED_TAG in context.run.tags
            else getattr(settings_in_force(store, arm).settings, step).model_dump()
        )
        return section.model_validate({**holds, **spelt_out})
    except (SettingsError, ValidationError):
        return None  # that step tells it


def selection_asked(context: dg.AssetExecutionContext, store: Store, arm: str) -> SelectionConfig:
    """How the arm's subset is selected, by the step of this run that does, or by a later one. Raises SettingsError."""
    of_step = asked_of(context, store, SelectionConfig, "selected_subset", arm)
    return settings_in_force(store, arm).settings.selected_subset if of_step is None else of_step


def asked(
    context: dg.AssetExecutionContext, store: Store, section: type[SectionType], arm: str | None = None
) -> tuple[SectionType, Kept]:
    """The step's configuration, and what of it is to be kept. arm: of a subset; None for what all share."""
    name = context.op_execution_context.op.name
    tag = context.run.tags.get(CONFIGURED_TAG)
    if tag is not None:
        config, said = stage_config(section, context), json.loads(tag)
    else:
        try:
            in_force = settings_in_force(store, arm)
        except SettingsError as error:
            # The same settings would say the same again.
            raise dg.Failure(str(error), allow_retries=False) from error
        holds: dict[str, Any] = getattr(in_force.settings, name).model_dump(mode="json")
        run_config: Any = context.run.run_config
        spelt_out = run_config.get("ops", {}).get(name, {}).get("config", {})
        blank = {key: value for key, value in holds.items() if key not in spelt_out}
        config, said = stage_config(section, context, blank), spoken(in_force.configured)
    dumped = {f"{name}.{key}": value for key, value in config.model_dump(mode="json").items()}
    return config, to_keep(dumped, said, name)
