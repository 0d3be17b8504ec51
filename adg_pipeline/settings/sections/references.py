"""Scoring the references."""

from typing import Any, Literal

from pydantic import Field

from adg_pipeline.settings.sections.base import Section
from adg_pipeline.settings.sections.generations import GenerationConfig


class ReferenceLossConfig(Section):
    """How likely each reference is under the backbone."""

    RECIPE = ("model", "revision", "plain")
    RECIPE_IF_SET = ("states", "noisy_copies", "ranker")

    model: str = Field(
        default="backbone",
        description="What scores: the backbone of the generations, or a directory or hub name (SuperFiltering's small "
        "model).",
    )
    revision: str | None = Field(default=None, description="Revision of a hub model.")
    engine: Literal["same", "transformers", "vllm"] = Field(
        default="same",
        description="What runs it: the engine of the generations, or one of these. A server scores only the backbone: "
        "another model then runs on transformers.",
    )
    plain: bool = Field(
        default=False,
        description="Also score references after the bare instruction and alone, without a template: what superfiltering "
        "reads. Two passes more.",
    )
    states: bool = Field(
        default=False,
        description="Also keep the hidden states of prompt and reference, their mean weighted by position: what rds_plus "
        "reads. A pass more; transformers only.",
    )
    noisy_copies: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Also score references in so many copies with noise in the embeddings: what t_shirt reads (its source "
        "takes 30). Two passes more for each; transformers only.",
    )
    ranker: str | None = Field(
        default=None,
        description="Folder of a SCAR ranker (config.json, tokenizer.json, model.safetensors): also keep its score of each "
        "reference, which scar reads.",
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="Texts per forward pass.")
    max_failed_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of a shard's examples that may fail before the shard does."
    )

    def scorer(self, generation: GenerationConfig) -> GenerationConfig:
        """What scores: the generator that answers, as it is; the same on another engine; or one of the model that is named
        instead, which no server serves."""
        engine = generation.engine if self.engine == "same" else self.engine
        if self.model == "backbone" and engine == generation.engine:
            return generation
        changes: dict[str, Any] = {"engine": engine, "stop": []}
        if self.model != "backbone":
            whole_context = generation.vllm.model_copy(update={"max_model_len": None})
            changes |= {"backbone": self.model, "revision": self.revision, "vllm": whole_context}
            changes["engine"] = "transformers" if engine == "endpoint" else engine
        return generation.model_copy(update=changes)
