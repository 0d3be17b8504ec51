"""What a model runs on, and in which type."""

from typing import Any

# Environment without a GPU: vLLM must run in this process, its cache must be told a size (GiB), and its threads must not be
# bound to cores: bound, they came out 14 times slower where cores are shared.
VLLM_ON_CPU = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}

# Below this, float64 costs a CPU less than it saves: see `choose_dtype`.
SMALL_MODEL_PARAMETERS = 50_000_000


def pick_device(device: str = "auto") -> str:
    """A torch device: the one named, or for ``auto`` the first of cuda, mps and cpu that is there."""
    import torch

    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(dtype: str, device: str, parameters: int) -> Any:
    """The torch type to run a model in; None stands for the type that its weights are stored in.

    ``auto`` takes float64 for a small model on a CPU. The sums inside a forward pass come out differently with the
    shape of the batch. In float32 that noise is near 1e-6 of a probability, and over millions of draws some fall
    between the two values: a sample would then depend on what shares its batch. In float64 it is near 1e-15, and none
    does. (Where a layer computes in float32 whatever the type, as Llama's norms do, equal values are rounded alike.)
    """
    import torch

    if dtype != "auto":
        return getattr(torch, dtype)
    return torch.float64 if device == "cpu" and parameters < SMALL_MODEL_PARAMETERS else None
