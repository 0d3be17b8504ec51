"""A trial: an arm's subset, the backbone tuned on it with one seed, and what that answers to the benchmarks.

What a trial learns from is the arm's subset at hand, or of an arm that draws at random another for every seed: several
trainings on one draw would tell how training varies, and nothing of how the draw does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.errors import StaleInputError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.in_force import optional_reads
from adg_pipeline.lineage.states import SelectionInputs, selection_inputs, selection_key
from adg_pipeline.models.backbones import resolve_backbone
from adg_pipeline.resources.evaluator import plan_evaluation, require_evaluable
from adg_pipeline.resources.evaluator.job import EvaluationJob, find_model
from adg_pipeline.resources.evaluator.launch import is_published
from adg_pipeline.resources.trainer import TrainingJob, plan_training
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import EvaluationConfig, GenerationConfig, SelectionConfig, TrainingConfig
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest
from adg_pipeline.store.selections import content_id, read_manifest


@dataclass(frozen=True)
class Draw:
    """What a seed of a drawing arm is to be drawn from. bins: manifest of the semantic bins. key: names the subset."""

    config: SelectionConfig
    inputs: SelectionInputs
    bins: Mapping[str, Any]
    key: str

    def is_of(self, manifest: Mapping[str, Any] | None) -> bool:
        """Whether a stored subset is this draw."""
        return (
            manifest is not None
            and manifest["key"] == self.key
            and manifest["bins"]["fit_id"] == self.bins["fit"]["fit_id"]
        )


def draw_of(store: Store, at_hand: Mapping[str, Any], arm: str, seed: int) -> Draw | None:
    """What to draw for a training seed; None of an arm that doesn't draw, and of the seed that the subset at hand has.

    at_hand: manifest of the arm's subset: the draw is of the same settings and shards. Raises StaleInputError where those
    were scored or binned anew since.
    """
    known = SelectionConfig.model_fields
    config = SelectionConfig.model_validate({key: value for key, value in at_hand["config"].items() if key in known})
    if not SELECTORS[config.selector].is_drawn(config) or config.seed == seed:
        return None
    config = config.model_copy(update={"seed": seed})
    inputs = selection_inputs(store, list(at_hand["shards"]), **optional_reads([config]))
    bins = store.bins.manifest()
    if bins is None or bins["fit"]["fit_id"] != at_hand["bins"]["fit_id"] or _differ(at_hand, inputs):
        raise StaleInputError(
            f"the pool was scored or binned anew since {arm} was selected: `adg run --arm {arm}` first"
        )
    return Draw(config, inputs, bins, selection_key(arm, bins["recipe"], config.recipe(), inputs))


def _differ(at_hand: Mapping[str, Any], inputs: SelectionInputs) -> bool:
    """Whether the shards are no longer what the subset at hand was selected from."""
    of_tables = {
        "divergence_scores": inputs.scores,
        "instruction_embeddings": inputs.instructions,
        **inputs.optional,
    }
    return any(
        contents.get(shard) != at_hand["shards"][shard][table]
        for table, contents in of_tables.items()
        for shard in at_hand["shards"]
    )


def training_job(
    subset: Path, selection: Mapping[str, Any], config: TrainingConfig, sampled: GenerationConfig, output: Path
) -> TrainingJob:
    """The training on a stored subset. selection: its manifest. sampled: whose backbone is tuned, and in whose template."""
    return plan_training(
        subset / "subset.parquet",
        resolve_backbone(sampled.backbone, sampled.revision),
        output,
        config,
        **config.asked_as(sampled),
        revision=sampled.revision,
        provenance={"arm": selection["arm"], "subset": content_id(selection), "selection": dict(selection)},
    )


def evaluation_job(store: Store, arm: str, seed: int, config: EvaluationConfig, trained: str) -> EvaluationJob:
    """The evaluation of the checkpoint at hand. trained: its job fingerprint."""
    suite = require_evaluable(config, store.benchmark_data)
    return plan_evaluation(
        find_model(str(store.whole_checkpoint(arm, seed))),
        store.results_dir(arm, seed, suite.name, config.limit),
        store.benchmark_data,
        config,
        provenance={"arm": arm, "seed": seed, "checkpoint": trained},
    )


def untuned_job(store: Store, settings: Settings) -> EvaluationJob:
    """The evaluation of the backbone as it is before any tuning: what every reader wants the arms set against."""
    config, sampled = settings.benchmark_results, settings.generations
    suite = require_evaluable(config, store.benchmark_data)
    found = find_model(sampled.backbone, sampled.revision)
    output = store.model_results_dir(found.label, suite.name, config.limit)
    return plan_evaluation(found, output, store.benchmark_data, config)


def is_selected(store: Store, arm: str, settings: Settings) -> bool:
    """Whether the arm's subset at hand is what its settings select from what is stored now."""
    at_hand = store.selection_manifest(arm)
    inputs = selection_inputs(
        store, list(list_shards(store.pool_dir).shards), **optional_reads([settings.selected_subset])
    )
    key = selection_key(arm, settings.semantic_bins.recipe(), settings.selected_subset.recipe(), inputs)
    return at_hand is not None and at_hand["key"] == key


def is_trained(store: Store, arm: str, seed: int, settings: Settings) -> bool:
    """Whether the checkpoint is of the subset that this seed is to learn from, and of these settings."""
    at_hand, trained = store.selection_manifest(arm), read_training_manifest(store.checkpoint_dir(arm, seed))
    if at_hand is None or trained is None:
        return False
    draw, subset = draw_of(store, at_hand, arm, seed), store.selection_dir(arm)
    if draw is not None:
        subset = store.drawn_dir(arm, seed)
        drawn = read_manifest(subset)
        if drawn is None or not draw.is_of(drawn):
            return False
        at_hand = drawn
    config = settings.finetuned_checkpoint.model_copy(update={"seed": seed})
    job = training_job(subset, at_hand, config, settings.generations, store.checkpoint_dir(arm, seed))
    return bool(trained["job_fingerprint"] == job.fingerprint)


def is_evaluated(store: Store, arm: str, seed: int, settings: Settings) -> bool:
    """Whether the results are of the checkpoint at hand, and of these settings."""
    trained = read_training_manifest(store.checkpoint_dir(arm, seed))
    if trained is None:
        return False
    return is_published(evaluation_job(store, arm, seed, settings.benchmark_results, trained["job_fingerprint"]))
