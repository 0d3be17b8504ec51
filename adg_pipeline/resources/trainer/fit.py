"""The training itself, in the training process: TRL's `SFTTrainer` over tokenized examples.

Labels come ready made (see `examples`), so TRL neither tokenizes nor cuts, and the loss counts answers only.
"""

from collections.abc import Callable
from pathlib import Path

import datasets
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, GenerationConfig, PrinterCallback
from transformers.utils.logging import disable_progress_bar
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from adg_pipeline.models.backbones import loading_revision
from adg_pipeline.models.tokenizers import load_tokenizer
from adg_pipeline.resources.trainer.checkpoints import is_last, keep_only, newest_complete, step_of
from adg_pipeline.resources.trainer.examples import TokenizedExamples
from adg_pipeline.resources.trainer.job import LOG, TrainingJob
from adg_pipeline.resources.trainer.progress import Progress
from adg_pipeline.settings.sections import TrainingConfig

Say = Callable[[str], None]


def fit(job: TrainingJob, examples: TokenizedExamples, say: Say) -> tuple[Path, int]:
    """Train until the last step stands in the work folder as a complete checkpoint.

    Goes on from the newest complete checkpoint, with optimizer, schedule, random states and data order as they were.
    Called in every process of a distributed training. Returns the last checkpoint and the step that this went on from.
    """
    # A bar per file loaded or saved would flood the step's log.
    disable_progress_bar()
    datasets.disable_progress_bars()
    resume = newest_complete(job.work)
    if resume is not None:
        say(f"resuming from step {step_of(resume)}")
        if is_last(resume):
            return resume, step_of(resume)
    trainer = _trainer(job, examples, Progress(job.work / LOG, say))
    if trainer.is_world_process_zero():
        keep_only(job.work, resume)
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    return job.work / f"checkpoint-{trainer.state.global_step}", step_of(resume)


def _trainer(job: TrainingJob, examples: TokenizedExamples, progress: Progress) -> SFTTrainer:
    config = job.config
    bfloat16 = _bfloat16(config)
    # Low-rank adapters are kept in float32 by PEFT. Weights that are tuned themselves need float32 too: at usual
    # learning rates an update is smaller than bfloat16 resolves.
    dtype = torch.bfloat16 if bfloat16 and config.method == "lora" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        job.base_model, revision=loading_revision(job.base_model, job.revision), dtype=dtype, use_safetensors=True
    )
    # Saving refuses some generation configs that models are published with. `finish` writes the backbone's.
    model.generation_config = GenerationConfig()
    trainer = SFTTrainer(
        model=model,
        args=_arguments(job, bfloat16),
        train_dataset=datasets.Dataset.from_dict({"input_ids": examples.input_ids, "labels": examples.labels}),
        processing_class=load_tokenizer(job.base_model, job.revision),
        peft_config=_adapters(config) if config.method == "lora" else None,
        callbacks=[progress],
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.is_fsdp_enabled:
        # Checkpoints that can be published need their weights in one piece.
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    return trainer


def _arguments(job: TrainingJob, bfloat16: bool) -> SFTConfig:
    config = job.config
    gpu = torch.cuda.is_available()
    checkpointing = gpu if config.gradient_checkpointing is None else config.gradient_checkpointing
    return SFTConfig(
        output_dir=str(job.work),
        use_cpu=not gpu,
        bf16=bfloat16,
        gradient_checkpointing=checkpointing,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.scheduler,
        warmup_steps=config.warmup_ratio,  # below 1, a share of the steps
        weight_decay=config.weight_decay,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        # Only packing has a use for it: what is longer was left out, and nothing may be cut.
        max_length=config.max_length if config.packing else None,
        packing=config.packing,
        seed=config.seed,
        data_seed=config.seed,
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,
        save_steps=config.save_steps,
        save_total_limit=2,
        report_to=[],
        disable_tqdm=True,
    )


def _adapters(config: TrainingConfig) -> LoraConfig:
    targets = [name.strip() for name in config.lora_targets.split(",")]
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=targets[0] if len(targets) == 1 else targets,
    )


def _bfloat16(config: TrainingConfig) -> bool:
    if config.precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return config.precision == "bfloat16"
