"""Options of the engines that have some of their own."""

from dagster import Config
from pydantic import ConfigDict, Field


class VllmOptions(Config):
    """Options of the in-process vLLM engine (one GPU host)."""

    model_config = ConfigDict(extra="forbid")

    tensor_parallel: int = Field(default=1, ge=1, le=64, description="GPUs that one model is spread over.")
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1, description="Share of each GPU's memory vLLM may take."
    )
    max_model_len: int | None = Field(
        default=None, ge=16, description="Context length in tokens; the model's own if not set."
    )
    enforce_eager: bool = Field(default=False, description="Skip CUDA graphs: starts faster, generates slower.")
    batch_invariant: bool = Field(
        default=False,
        description="vLLM's batch-invariant mode: the same answers whatever shares a batch, at some cost in speed.",
    )


class EndpointOptions(Config):
    """Options of an OpenAI-compatible server: `vllm serve`, llama.cpp, Ollama, a hosted API."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(default="http://127.0.0.1:8000/v1", description="Base URL of the API, up to and including /v1.")
    model: str | None = Field(default=None, description="Model name the server knows; the backbone's name if not set.")
    api_key_env: str = Field(
        default="ADG_ENDPOINT_API_KEY",
        description="Environment variable that holds the API key. The key itself is not stored.",
    )
    concurrency: int = Field(
        default=32, ge=1, le=4096, description="Most requests in flight; lowered while the server is slow."
    )
    max_attempts: int = Field(default=6, ge=1, le=100, description="Attempts per request before it counts as failed.")
    timeout_seconds: float = Field(default=300.0, gt=0, description="Time limit of one attempt, in seconds.")
