"""Asking benchmarks."""

from typing import Any, Literal

from pydantic import Field, field_validator

from adg_pipeline.settings.sections.base import Device, Section


class EvaluationConfig(Section):
    """Benchmarks that a checkpoint is asked, by lm-evaluation-harness."""

    RECIPE = (
        "suite",
        "tasks",
        "limit",
        "backend",
        "batch_size",
        "dtype",
        "max_length",
        "max_new_tokens",
        "chat_template",
    )

    suite: str = Field(
        default="paper",
        description="Which benchmarks: paper, embedded (the demo's world), or the path of a suite's YAML file.",
    )
    tasks: list[str] = Field(default=[], description="Tasks of the suite; all of them if empty.")
    limit: int | None = Field(
        default=None,
        ge=1,
        description="A quick look: the first so many questions of each task and subtask. All if not set.",
    )
    backend: Literal["hf", "vllm"] = Field(default="hf", description="What runs the model: transformers, or vLLM.")
    batch_size: int = Field(
        default=8, ge=1, le=4096, description="hf: questions per forward pass. (vLLM makes its own batches.)"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Weights' type; auto: the model's own."
    )
    max_length: int | None = Field(
        default=None, ge=16, description="Context length in tokens; the model's own if not set."
    )
    max_new_tokens: int | None = Field(
        default=None, ge=1, le=32_768, description="Longest answer, in tokens; each task's own if not set."
    )
    chat_template: bool = Field(
        default=False, description="Ask in the model's chat template; otherwise as plain text, as the paper did."
    )
    run_code: bool = Field(
        default=False,
        description="Run programs that the model writes, where a task asks for them. HF_ALLOW_CODE_EVAL=1 must stand in "
        "the environment as well.",
    )
    data: str | None = Field(
        default=None,
        description="Folder that `adg benchmarks prepare` filled; benchmark_data in the data directory if not set.",
    )
    device: Device = Field(default="auto", description="hf: device of the model: auto, cpu, cuda, cuda:1, mps.")
    gpus: int = Field(default=1, ge=1, le=64, description="GPUs that the model is spread over.")
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1, description="vllm: share of each GPU's memory it may take."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the evaluation; all if not set.")

    @property
    def gpus_needed(self) -> int:
        """GPUs that an evaluation needs at once, where there are any."""
        return 0 if self.device == "cpu" else self.gpus

    @field_validator("tasks", mode="before")
    @classmethod
    def one_task_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value
