"""What a model runs on, and in which type."""

import os
from collections import Counter
from collections.abc import Iterable
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


def hardware(device: str) -> str:
    """What a torch device is, for the record of what a stage took on it: ``NVIDIA L4``, or ``CPU, 2 cores``."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return cpu() if device == "cpu" else device


def cpu() -> str:
    """The cores that this process may use."""
    cores = len(os.sched_getaffinity(0))
    return f"CPU, {cores} core{'' if cores == 1 else 's'}"


def several(names: Iterable[str]) -> str:
    """Devices by their kind: ``4 × NVIDIA L4``."""
    return " and ".join(name if count == 1 else f"{count} × {name}" for name, count in Counter(names).items())


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
