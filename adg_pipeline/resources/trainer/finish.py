"""From the trainer's last checkpoint to a checkpoint that anyone can load: safetensors, tokenizer, record, log."""

import json
import math
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from adg_pipeline.models.backbones import loading_revision
from adg_pipeline.models.devices import hardware, pick_device, several
from adg_pipeline.models.published import published_chat_template
from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.resources.trainer.checkpoints import step_of
from adg_pipeline.resources.trainer.examples import TokenizedExamples
from adg_pipeline.resources.trainer.job import LOG, MANIFEST, TrainingJob, TrainingManifest

_VERSIONS_OF = ("adg-pipeline", "torch", "transformers", "trl", "peft", "accelerate")


def finish(job: TrainingJob, checkpoint: Path, examples: TokenizedExamples, resumed_from: int) -> Path:
    """Write everything that is to be published into a folder of the work folder, and return it.

    Weights have the type of the backbone's. Adapters that are not merged stand with the name of their backbone. The
    chat template is what the training rendered, and the generation config ends where its turns end.
    """
    finished = job.work / "finished"
    if finished.exists():
        shutil.rmtree(finished)
    finished.mkdir()
    if job.config.method == "lora" and not job.config.merge:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy(checkpoint / name, finished)
    else:
        write_model(job, checkpoint, finished)
    template = job.prompt_template()
    _write_generation_config(job, template, finished)
    template.tokenizer.chat_template = published_chat_template(template)
    template.tokenizer.save_pretrained(finished)
    shutil.copy(job.work / LOG, finished)
    manifest = _manifest(job, checkpoint, examples, resumed_from, template)
    record = finished / MANIFEST
    record.write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    for file in finished.iterdir():
        file.chmod(record.stat().st_mode)  # the safetensors library lets nobody but the owner read
    return finished


def write_model(job: TrainingJob, checkpoint: Path, folder: Path) -> None:
    """Write a whole model: the trainer's own, or the backbone with the trainer's adapters merged into it."""
    revision = loading_revision(job.base_model, job.revision)
    # The trainer changes the configuration it trains with (cache, padding): the backbone's own goes with the weights.
    config = AutoConfig.from_pretrained(job.base_model, revision=revision)
    stored_type = config.dtype or torch.float32
    if job.config.method == "lora":
        # Merged in float32, since in bfloat16 most of a small update would be rounded away before it is added.
        base = AutoModelForCausalLM.from_pretrained(
            job.base_model, revision=revision, dtype=torch.float32, use_safetensors=True
        )
        model = PeftModel.from_pretrained(base, str(checkpoint)).merge_and_unload()
    else:
        model = AutoModelForCausalLM.from_pretrained(
            str(checkpoint), config=config, dtype=torch.float32, use_safetensors=True
        )
    model.generation_config = GenerationConfig()  # see `_write_generation_config`
    model.to(stored_type).save_pretrained(folder)


def _write_generation_config(job: TrainingJob, template: PromptTemplate, folder: Path) -> None:
    """The backbone's own, with every token that ends a turn: whatever loads the checkpoint stops there."""
    revision = loading_revision(job.base_model, job.revision)
    try:
        config = GenerationConfig.from_pretrained(job.base_model, revision=revision or "main")
    except OSError:
        config = GenerationConfig.from_model_config(AutoConfig.from_pretrained(job.base_model, revision=revision))
    ends = sorted(template.turn_ends)
    config.eos_token_id = ends if len(ends) > 1 else ends[0]
    config.to_json_file(
        folder / "generation_config.json"
    )  # `save_pretrained` refuses some that models are published with


def _manifest(
    job: TrainingJob, checkpoint: Path, examples: TokenizedExamples, resumed_from: int, template: PromptTemplate
) -> TrainingManifest:
    records = [json.loads(line) for line in (job.work / LOG).read_text(encoding="utf-8").splitlines()]
    last = records[-1]
    return TrainingManifest(
        job=job,
        job_fingerprint=job.fingerprint,
        seed=job.config.seed,
        steps=step_of(checkpoint),
        epochs=last["epoch"],
        final_loss=last["loss"],
        examples=examples.count,
        left_out=examples.left_out,
        turn_ends={template.tokenizer.convert_ids_to_tokens(end): end for end in sorted(template.turn_ends)},
        tokens=last["tokens"],
        seconds=last["seconds"],
        resumed_from=resumed_from,
        trained_parameters=_count_weights(checkpoint),
        versions={name: version(name) for name in _VERSIONS_OF},
        hardware=several([hardware(pick_device())] * job.config.processes),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _count_weights(checkpoint: Path) -> int:
    """Weights that the trainer saved: of the whole model, or of its adapters."""
    total = 0
    for file in checkpoint.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            total += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total
