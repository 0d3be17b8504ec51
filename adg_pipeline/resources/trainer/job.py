"""What a training is: its inputs, its recipe, where it works, and the record it leaves."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from adg_pipeline.errors import PipelineError
from adg_pipeline.models.fingerprints import model_fingerprint
from adg_pipeline.models.templates import PromptTemplate, open_prompt_template
from adg_pipeline.resources.trainer.examples import subset_fingerprint
from adg_pipeline.settings.sections import Template, TrainingConfig

MANIFEST = "training_manifest.json"
LOG = "training_log.jsonl"

# Part of every job's fingerprint: raise it when the same job would give other weights than before.
RECIPE_VERSION = 1
# The same for jobs with a chat template. 2: labels are what the template writes, not the answer and the tokenizer's eos.
CHAT_VERSION = 2


class TrainingError(PipelineError):
    """The job can't be done as it is given: trying again won't help."""


class TrainingJob(BaseModel):
    """One fine-tuning, fully described. Make it with `plan_training`.

    Attributes:
        subset: Parquet file with the raw pool's columns; the examples to train on.
        base_model: Directory or hub name of the backbone, as `resolve_backbone` gives it.
        revision: Revision of a hub model.
        output: Directory that the checkpoint is published to.
        template: Prompt template, the one that answers were sampled with.
        template_options, system_text: How a chat template is used, as in `GenerationConfig`; defaults for alpaca.
        config: Recipe and resources of the training.
        subset_fingerprint: Hash of what is trained on.
        base_fingerprint: Identity of the backbone, from `model_fingerprint`.
        provenance: Whatever the caller wants recorded with the checkpoint; decides nothing.
    """

    model_config = ConfigDict(frozen=True)

    subset: str
    base_model: str
    revision: str | None = None
    output: str
    template: Template
    template_options: dict[str, Any] = {}
    system_text: Literal["template", "fold"] = "template"
    config: TrainingConfig
    subset_fingerprint: str
    base_fingerprint: dict[str, str | None]
    provenance: dict[str, Any] = {}

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the checkpoint; not of paths, nor of what only decides speed."""
        recipe = {**self.config.recipe(), "template": self.template}
        for how in ("template_options", "system_text"):
            recipe.pop(how, None)  # what they come to is the job's own
        decides = {
            "version": RECIPE_VERSION,
            "subset": self.subset_fingerprint,
            "base_model": self.base_fingerprint,
            "recipe": recipe,
        }
        if self.template == "chat":
            decides["chat"] = {
                "version": CHAT_VERSION, "options": self.template_options, "system_text": self.system_text,
            }  # fmt: skip
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def prompt_template(self) -> PromptTemplate:
        """How prompts and answers of this training are written. Loads the backbone's tokenizer."""
        fold = self.system_text == "fold"
        return open_prompt_template(self.base_model, self.revision, self.template, self.template_options, fold)

    @property
    def published(self) -> Path:
        """Where the finished checkpoint lies."""
        return Path(self.output)

    @property
    def work(self) -> Path:
        """Where the training works: beside the output, on the same file system, so that publishing is a rename."""
        return self.published.with_name(f".{self.published.name}.work-{self.fingerprint[:16]}")


class TrainingManifest(BaseModel):
    """The record that stands with a published checkpoint, as ``training_manifest.json``.

    Attributes:
        job: What was trained, with its fingerprints and provenance.
        job_fingerprint: `TrainingJob.fingerprint`.
        steps: Optimizer steps.
        epochs: Passes over the examples.
        final_loss: Mean loss per answer token over the last logged steps.
        examples: Examples trained on.
        left_out: Ids of examples not trained on, by reason.
        turn_ends: Tokens that end a turn of the checkpoint, with their ids.
        tokens: Tokens seen, padding not counted, prompts counted.
        seconds: Time spent on training steps, all attempts together as far as their logs were kept.
        resumed_from: Step that the last attempt resumed from; 0 if it ran in one go.
        trained_parameters: Weights that were tuned.
        versions: Versions of the libraries.
        hardware: What it was trained on, at the last attempt; empty where that wasn't recorded.
        finished_at: When it was published, ISO 8601 in UTC.
    """

    job: TrainingJob
    job_fingerprint: str
    seed: int
    steps: int
    epochs: float
    final_loss: float
    examples: int
    left_out: dict[str, list[str]]
    turn_ends: dict[str, int] = {}
    tokens: int
    seconds: float
    resumed_from: int
    trained_parameters: int
    versions: dict[str, str]
    hardware: str = ""
    finished_at: str


def plan_training(
    subset: Path | str,
    base_model: str,
    output: Path | str,
    config: TrainingConfig,
    *,
    template: Template,
    template_options: dict[str, Any] | None = None,
    system_text: Literal["template", "fold"] = "template",
    revision: str | None = None,
    provenance: dict[str, Any] | None = None,
) -> TrainingJob:
    """Describe a training, reading its inputs' fingerprints.

    ``template``, ``template_options`` and ``system_text`` are what to train with, whatever the configuration's fields
    say; the latter two mean nothing to the Alpaca template.

    Raises:
        TrainingError: there is no such subset.
        ModelNotFound: there is no such backbone.
    """
    if not Path(subset).is_file():
        raise TrainingError(f"there is no subset at {subset}: materialise selected_subset first")
    return TrainingJob(
        subset=str(subset),
        base_model=base_model,
        revision=revision,
        output=str(Path(output).resolve()),
        template=template,
        template_options=(template_options or {}) if template == "chat" else {},
        system_text=system_text if template == "chat" else "template",
        config=config,
        subset_fingerprint=subset_fingerprint(Path(subset)),
        base_fingerprint=model_fingerprint(base_model, revision),
        provenance=provenance or {},
    )
