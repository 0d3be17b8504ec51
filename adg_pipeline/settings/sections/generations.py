"""Sampling the answers."""

from typing import Any, Literal

from pydantic import Field, field_validator

from adg_pipeline.settings.sections.base import Device, DType, Section
from adg_pipeline.settings.sections.engines import EndpointOptions, VllmOptions
from adg_pipeline.settings.sections.template_options import TemplateOptions

Engine = Literal["transformers", "vllm", "endpoint"]
Template = Literal["alpaca", "chat"]


class GenerationConfig(Section):
    """K stochastic answers per instruction, drawn from the backbone."""

    RECIPE = (
        "engine", "backbone", "revision", "template", "samples", "temperature", "top_p", "top_k", "max_new_tokens",
        "seed", "dtype",
    )  # fmt: skip
    RECIPE_IF_SET = ("system_text", "template_options", "stop")

    engine: Engine = Field(
        default="transformers", description="What runs the backbone: transformers, vllm or endpoint."
    )
    backbone: str = Field(
        default="embedded",
        description="The model to be tuned: a directory, a hub name, or 'embedded' for the packaged one.",
    )
    revision: str | None = Field(
        default=None, description="Revision of a hub model; pin it, so that a run can be repeated."
    )
    template: Template = Field(
        default="alpaca", description="Prompt: the Alpaca template, or the tokenizer's chat template."
    )
    template_options: TemplateOptions = Field(
        default={},
        description="Switches of the chat template, such as {enable_thinking: false}; training uses them too.",
    )
    system_text: Literal["template", "fold"] = Field(
        default="template",
        description="chat: fold puts system text before the first user turn, for a template that refuses a system turn.",
    )
    stop: list[str] = Field(
        default=[],
        description="Texts that end an answer, which is cut before them; auto: where the template's next turn begins.",
    )
    samples: int = Field(default=5, ge=2, le=64, description="K, answers per instruction.")
    temperature: float = Field(default=1.4, gt=0, le=10, description="Sampling temperature.")
    top_p: float = Field(
        default=0.9, gt=0, le=1, description="Nucleus sampling: keep the smallest set with this probability."
    )
    top_k: int = Field(default=50, ge=0, le=1_000_000, description="Keep the k likeliest tokens; 0 keeps all.")
    max_new_tokens: int = Field(default=256, ge=1, le=32_768, description="Longest answer, in tokens.")
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed from which every sample's own seed is derived.")
    batch_size: int = Field(default=64, ge=1, le=65_536, description="Instructions handed to the engine at a time.")
    device: Device = Field(
        default="auto", description="Device of the transformers engine: auto, cpu, cuda, cuda:1, mps."
    )
    dtype: DType = Field(
        default="auto", description="Weights' type; auto: float64 for small models on CPU, else the model's."
    )
    max_failed_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of a shard's instructions that may fail before the shard does."
    )
    vllm: VllmOptions = Field(default=VllmOptions(), description="Options of the vllm engine.")
    endpoint: EndpointOptions = Field(default=EndpointOptions(), description="Options of the endpoint engine.")

    @property
    def gpus_needed(self) -> int:
        """GPUs that the engine needs at once, where there are any."""
        if self.engine == "endpoint":
            return 0
        return self.vllm.tensor_parallel if self.engine == "vllm" else int(self.device != "cpu")

    @property
    def backbone_is_known(self) -> bool:
        """Whether somebody said which model an endpoint serves: its default, the packaged one, is for other engines."""
        default = type(self).model_fields["backbone"].default
        return self.engine != "endpoint" or "backbone" in self.model_fields_set or self.backbone != default

    @field_validator("stop", mode="before")
    @classmethod
    def one_stop_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def stops_are_texts(cls, value: list[str]) -> list[str]:
        if "" in value:
            raise ValueError("an empty text would end every answer before it begins")
        return list(dict.fromkeys(value))
