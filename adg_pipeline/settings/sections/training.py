"""Training on it."""

from typing import Any, Literal

from pydantic import Field

from adg_pipeline.settings.sections.base import Section
from adg_pipeline.settings.sections.generations import GenerationConfig
from adg_pipeline.settings.sections.template_options import TemplateOptions


class TrainingConfig(Section):
    """Supervised fine-tuning of the backbone on the subset, loss on the answer only."""

    RECIPE = (
        "method", "merge", "template", "epochs", "max_steps", "learning_rate", "scheduler", "warmup_ratio",
        "weight_decay", "batch_size", "gradient_accumulation", "max_length", "packing", "precision", "seed",
        "lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "processes",
    )  # fmt: skip
    RECIPE_IF_SET = ("template_options", "system_text", "assistant_turns")

    method: Literal["full", "lora"] = Field(default="full", description="Tune all weights, or low-rank adapters.")
    merge: bool = Field(
        default=True, description="lora: merge the adapters into the checkpoint; otherwise keep them apart."
    )
    template: Literal["same", "alpaca", "chat"] = Field(
        default="same", description="Prompt template; same: the one that answers were sampled with."
    )
    template_options: TemplateOptions | None = Field(
        default=None, description="Switches of the chat template; those that answers were sampled with if not set."
    )
    system_text: Literal["same", "template", "fold"] = Field(
        default="same", description="chat: where system text goes; same: where it went when answers were sampled."
    )
    assistant_turns: Literal["last", "all"] = Field(
        default="last",
        description="What is learnt of a conversation: its last answer, or all that aren't marked as not to be learnt.",
    )
    epochs: float = Field(default=5.0, gt=0, le=1000, description="Passes over the subset.")
    max_steps: int = Field(default=-1, ge=-1, description="Optimizer steps; -1: as many as the epochs need.")
    learning_rate: float = Field(default=1e-5, gt=0, le=1, description="Peak learning rate.")
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="Learning-rate schedule."
    )
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1, description="Share of the steps spent on warm-up.")
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="Weight decay.")
    batch_size: int = Field(default=2, ge=1, le=4096, description="Examples per device and step.")
    gradient_accumulation: int = Field(default=8, ge=1, le=4096, description="Steps gathered before each update.")
    max_length: int = Field(
        default=2048, ge=16, description="Longest prompt and answer together, in tokens; longer ones are left out."
    )
    packing: bool = Field(default=False, description="Pack several examples into one sequence.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 where the GPU has it."
    )
    gradient_checkpointing: bool | None = Field(
        default=None, description="Trade time for memory; on for GPUs if not set."
    )
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed of data order, adapters and dropout.")
    lora_rank: int = Field(default=16, ge=1, le=1024, description="lora: rank.")
    lora_alpha: int = Field(default=32, ge=1, le=4096, description="lora: alpha.")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="lora: dropout.")
    lora_targets: str = Field(
        default="all-linear", description="lora: modules, as PEFT names them, separated by commas."
    )
    processes: int = Field(default=1, ge=1, le=1024, description="Processes (GPUs) under accelerate launch.")
    accelerate_config: str | None = Field(
        default=None,
        description="Configuration file of accelerate launch, for FSDP or DeepSpeed with several processes.",
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the training process; all if not set.")
    save_steps: int = Field(default=200, ge=1, description="Steps between the checkpoints that a crash resumes from.")
    logging_steps: int = Field(default=10, ge=1, description="Steps between reported losses.")

    def asked_as(self, generation: GenerationConfig) -> dict[str, Any]:
        """template, template_options and system_text: this section's own where it names them, else the generations'."""
        return {
            "template": generation.template if self.template == "same" else self.template,
            "template_options": generation.template_options if self.template_options is None else self.template_options,
            "system_text": generation.system_text if self.system_text == "same" else self.system_text,
        }
