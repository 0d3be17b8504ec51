"""Embedding answers and instructions."""

from typing import Literal

from pydantic import Field

from adg_pipeline.settings.sections.base import Device, DType, Section


class EmbeddingConfig(Section):
    """Unit vectors of the sampled answers and of the instructions."""

    RECIPE = ("embedder", "model", "revision", "layers", "pool", "max_tokens", "long_texts", "dtype")

    embedder: Literal["sentence_transformer", "hidden_state"] = Field(
        default="sentence_transformer",
        description="sentence_transformer, or hidden_state: the paper's pooling of the backbone.",
    )
    model: str = Field(
        default="auto",
        description="Directory or hub name; auto is the packaged all-MiniLM-L6-v2, or for hidden_state the backbone.",
    )
    revision: str | None = Field(default=None, description="Revision of a hub model.")
    layers: list[int] = Field(
        default=[-4, -3, -2], description="hidden_state: layers that are averaged, counted from the last."
    )
    pool: Literal["answer", "sequence"] = Field(
        default="answer",
        description="hidden_state: pool over the answer's tokens, or over instruction and answer (released code).",
    )
    max_tokens: int = Field(
        default=1024, ge=8, le=131_072, description="hidden_state: tokens that are read at a time, a window."
    )
    long_texts: Literal["windows", "cut"] = Field(
        default="windows",
        description="A text longer than the embedder reads at a time: read in windows, whose mean is its vector, or cut.",
    )
    batch_size: int = Field(default=32, ge=1, le=4096, description="Texts per forward pass.")
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps.")
    dtype: DType = Field(default="auto", description="Weights' type; auto: float32 on CPU, the model's own on a GPU.")
    max_failed_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of a shard's examples whose vectors may be NaN or infinite before the shard fails.",
    )
    max_unknown_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of a shard's examples that may be in signs the embedder has no tokens for before the shard fails.",
    )

    @property
    def gpus_needed(self) -> int:
        """GPUs that the embedder needs at once, where there are any."""
        return int(self.device != "cpu")
