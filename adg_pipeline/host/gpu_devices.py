"""The GPUs of this machine and how full they are, found without loading a model library.

A process that imports torch to count GPUs can no longer be told which of them to see; so the driver is asked instead:
``nvidia-smi`` where it is installed, else the driver's folder in ``/proc``.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

_QUERY = "index,uuid,memory.used,memory.total,name"
_DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Gpu:
    """One device.

    Attributes:
        id: How ``CUDA_VISIBLE_DEVICES`` names it: an index in PCI bus order, a UUID, or a MIG instance.
        uuid: A name that stays the same in every container and process; the id where the driver gives none.
        used_mib: Memory that programs fill now, or None if unknown.
        total_mib: Memory it has, or None if unknown.
        name: Its kind, such as ``NVIDIA L4``; "GPU" where nobody says.
    """

    id: str
    uuid: str
    used_mib: int | None = None
    total_mib: int | None = None
    name: str = "GPU"

    @property
    def used_share(self) -> float:
        """Share of the memory in use; 0 where the driver doesn't say."""
        return self.used_mib / self.total_mib if self.used_mib is not None and self.total_mib else 0.0


def visible_gpus(environment: Mapping[str, str] | None = None) -> list[Gpu]:
    """The GPUs this process may use, in the order it would see them; empty on a machine without any.

    A ``CUDA_VISIBLE_DEVICES`` that is already set (by a cluster's scheduler, or by the user) is the allowed set, and
    its way of naming devices is kept.
    """
    found = installed_gpus()
    allowed = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES")
    return found if allowed is None or not found else named_gpus(found, allowed.split(","))


def named_gpus(found: list[Gpu], names: list[str]) -> list[Gpu]:
    """The GPUs called so, by index, UUID (or its beginning), or MIG instance.

    As CUDA does, the list ends at the first name that is no device: ``-1`` and the empty text hide all.
    """
    named = []
    for name in (name.strip() for name in names):
        if name.startswith("MIG-"):
            named.append(Gpu(id=name, uuid=name))
            continue
        match = next((gpu for gpu in found if name and (gpu.id == name or gpu.uuid.startswith(name))), None)
        if match is None:
            break
        named.append(replace(match, id=name))
    return named


def installed_gpus() -> list[Gpu]:
    """Every NVIDIA GPU that the driver shows, in PCI bus order.

    Raises:
        RuntimeError: nvidia-smi is installed next to a driver, and fails.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return _gpus_of_driver_folder()
    answer = subprocess.run(
        [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if answer.returncode != 0:
        # The program without a device is common in CUDA images that run on a machine without GPU.
        if not _gpus_of_driver_folder():
            return []
        raise RuntimeError(f"nvidia-smi failed ({answer.returncode}): {(answer.stdout + answer.stderr).strip()}")
    return parse_query(answer.stdout)


def parse_query(table: str) -> list[Gpu]:
    """Read the lines of ``nvidia-smi --query-gpu=index,uuid,memory.used,memory.total,name`` (MiB, no units)."""
    gpus = []
    for line in table.splitlines():
        if not line.strip():
            continue
        index, uuid, used, total, name = (field.strip() for field in line.split(",", 4))
        # Memory is "[N/A]" on boards that share it with the CPU, and on GPUs cut into MIG instances.
        used_mib, total_mib = (int(field) if field.isdigit() else None for field in (used, total))
        gpus.append(Gpu(index, uuid, used_mib, total_mib, name))
    return gpus


def _gpus_of_driver_folder() -> list[Gpu]:
    gpus = []
    for index, folder in enumerate(sorted(_DRIVER_FOLDER.glob("*"))):  # named by PCI bus id
        facts = dict(line.split(":", 1) for line in (folder / "information").read_text().splitlines() if ":" in line)
        uuid, name = (facts.get(key, other).strip() for key, other in (("GPU UUID", str(index)), ("Model", "GPU")))
        gpus.append(Gpu(str(index), uuid, name=name))
    return gpus
