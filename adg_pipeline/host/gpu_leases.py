"""Leases of GPUs on one host, so that two steps never share a device by accident.

A lease is a lock on one file per device, which the kernel drops with the process that holds it: nothing has to be
cleaned up after a crash. Who waits stands in a queue of tickets, files locked in the same way. Only the first of the
queue takes devices, and takes all it needs at once; so a step that needs two is neither starved by steps that need one
nor keeps one idle while it waits for the other.

The locks must lie on a local file system: the devices are this host's, and so is the queue for them.
"""

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster import ConfigurableResource, get_dagster_logger
from pydantic import Field

from adg_pipeline.host.children import environment
from adg_pipeline.host.file_locks import FileLock
from adg_pipeline.host.gpu_devices import Gpu, named_gpus, visible_gpus

Progress = Callable[[str], None]

_REMIND_SECONDS = 30.0

# A process has one CUDA_VISIBLE_DEVICES, so one lease at a time.
_one_lease = threading.Lock()


def _no_lease_in_child() -> None:
    global _one_lease
    _one_lease = threading.Lock()


os.register_at_fork(after_in_child=_no_lease_in_child)


def default_directory() -> Path:
    """One folder per user and host, so that all data directories of a user share one queue for the GPUs.

    A cluster's hosts may share the folder for temporary files. What is named after the system's start is this host's, in all
    of its containers.
    """
    start = Path("/proc/sys/kernel/random/boot_id")
    host = start.read_text().strip() if start.exists() else socket.gethostname()
    return Path(tempfile.gettempdir()) / f"adg-gpu-leases-{os.getuid()}-{host}"


class GpuLeases:
    """The GPUs of this host, which steps take turns on.

    Args:
        directory: Folder of the lock files, on a local disk. All who share the GPUs must name the same one.
        devices: ``auto`` for all that ``CUDA_VISIBLE_DEVICES`` doesn't hide, ``none`` to work without any, or names as
            ``CUDA_VISIBLE_DEVICES`` takes them.
        max_used_share: A device of whose memory other programs fill more than this share is passed over.
        poll_seconds: Seconds between two looks while waiting.
        find: What lists the devices.
    """

    # What this process leased last: once CUDA has started, it sees those devices for good.
    _latest: list[str] | None = None

    def __init__(
        self,
        directory: Path | str | None = None,
        devices: str | Sequence[str] = "auto",
        *,
        max_used_share: float = 0.2,
        poll_seconds: float = 1.0,
        find: Callable[[], list[Gpu]] = visible_gpus,
    ) -> None:
        self.directory = default_directory() if directory is None else Path(directory)
        self.devices = devices
        self.max_used_share = max_used_share
        self.poll_seconds = poll_seconds
        self._find = find

    def gpus(self) -> list[Gpu]:
        """The devices that may be leased; empty where there are none or none are wanted.

        Raises:
            ValueError: a device named in ``devices`` is not on this machine.
        """
        if self.devices == "none":
            return []
        found = self._find()
        if self.devices == "auto":
            return found
        wanted = self.devices.split(",") if isinstance(self.devices, str) else list(self.devices)
        named = named_gpus(found, wanted)
        if len(named) < len(wanted):
            have = ", ".join(gpu.id for gpu in found) or "none"
            raise ValueError(f"GPU {wanted[len(named)]!r} is not on this machine, or hidden; there are: {have}")
        return named

    @contextmanager
    def acquire(
        self, count: int = 1, timeout: float | None = None, progress: Progress | None = None
    ) -> Iterator[list[str]]:
        """Hold ``count`` devices while the block runs, and show only these to CUDA.

        Yields their ids as ``CUDA_VISIBLE_DEVICES`` names them; an empty list on a machine without GPUs, where nothing
        is held. Enter the block before a model library starts CUDA, which keeps seeing the devices it started with: a
        process in which it has started can lease the same devices again, and no others.

        Args:
            count: Devices needed, all at once.
            timeout: Seconds to wait; None waits for ever.
            progress: Told in words what the wait is for, now and then.

        Raises:
            ValueError: the machine has fewer devices than ``count``.
            TimeoutError: they were not free in time; says who holds them.
            RuntimeError: this process holds a lease already, or CUDA has started in it with other devices.
        """
        gpus = self.gpus()
        if not gpus or count < 1:
            with environment({"CUDA_VISIBLE_DEVICES": ""} if self.devices == "none" else {}):
                yield []
            return
        if len(gpus) < count:
            raise ValueError(f"{count} GPUs are needed at once, and there are {len(gpus)} to lease on this machine")
        if not _one_lease.acquire(blocking=False):
            raise RuntimeError("this process holds a lease already: lease all the GPUs that it needs at once")
        locks: dict[str, FileLock] = {}
        try:
            if cuda_has_started():
                gpus = _same_devices(gpus, count)
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            locks = self._wait(gpus, count, timeout, progress or (lambda text: None))
            GpuLeases._latest = list(locks)
            # nvidia-smi counts in PCI bus order; CUDA by itself puts the fastest device first.
            with environment({"CUDA_VISIBLE_DEVICES": ",".join(locks), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}):
                yield list(locks)
        finally:
            for lock in locks.values():
                lock.release()
            _one_lease.release()

    def _wait(self, gpus: list[Gpu], count: int, timeout: float | None, progress: Progress) -> dict[str, FileLock]:
        """Stand in the queue until ``count`` of the devices are ours: their ids and locks."""
        started = time.monotonic()
        reminded = -_REMIND_SECONDS
        with self._admission():
            ticket = self._draw_ticket()
        try:
            while True:
                with self._admission():
                    ahead = self._tickets_ahead(ticket)
                    taken, reasons = ({}, [f"{ahead} ahead in the queue"]) if ahead else self._take(gpus, count)
                waited = time.monotonic() - started
                if taken:
                    if waited > self.poll_seconds:
                        progress(f"GPU {', '.join(taken)} leased after {waited:.0f} s")
                    return taken
                if timeout is not None and waited >= timeout:
                    raise TimeoutError(f"no {count} free GPU(s) within {timeout:g} s: {'; '.join(reasons)}")
                if waited - reminded >= _REMIND_SECONDS:
                    reminded = waited
                    progress(f"waiting for {count} free GPU(s), {waited:.0f} s so far: {'; '.join(reasons)}")
                time.sleep(self.poll_seconds if timeout is None else min(self.poll_seconds, timeout - waited))
        finally:
            with self._admission():
                ticket.path.unlink(missing_ok=True)
                ticket.release()

    def _take(self, gpus: list[Gpu], count: int) -> tuple[dict[str, FileLock], list[str]]:
        """All ``count`` devices, or none and the reasons."""
        locks = {gpu.id: FileLock(self.directory / f"{gpu.uuid.replace('/', '_')}.lock") for gpu in gpus}
        free = [gpu for gpu in gpus if locks[gpu.id].take(wait=False)]
        reasons = [f"GPU {gpu.id} is held by {locks[gpu.id].holder()}" for gpu in gpus if gpu not in free]
        # What fills the memory is asked only when enough are free, since the driver takes its time to answer; and not
        # where CUDA has started, since then it is this process.
        if len(free) >= count and not cuda_has_started():
            now = {gpu.uuid: gpu for gpu in self._find()}
            full = [now[gpu.uuid] for gpu in free if now[gpu.uuid].used_share > self.max_used_share]
            reasons += [f"GPU {gpu.id} has {gpu.used_mib} of {gpu.total_mib} MiB filled by others" for gpu in full]
            free = [gpu for gpu in free if now[gpu.uuid] not in full]
        taken = [gpu.id for gpu in free[:count]] if len(free) >= count else []
        for name in locks.keys() - taken:
            locks[name].release()
        return {name: locks[name] for name in taken}, reasons

    def _admission(self) -> FileLock:
        """Held for moments only: whoever reads or changes the queue, or takes devices, does it alone."""
        return FileLock(self.directory / "admission.lock")

    def _draw_ticket(self) -> FileLock:
        numbers = [int(path.stem) for path in self.directory.glob("*.ticket")]
        ticket = FileLock(self.directory / f"{max(numbers, default=0) + 1:09d}.ticket")
        ticket.take()
        return ticket

    def _tickets_ahead(self, ours: FileLock) -> int:
        """How many wait before us. A ticket that can be locked has lost its owner and is thrown away."""
        ahead = 0
        for path in self.directory.glob("*.ticket"):
            if path.name < ours.path.name:
                ticket = FileLock(path)
                if ticket.take(wait=False):
                    path.unlink()
                    ticket.release()
                else:
                    ahead += 1
        return ahead


class GpuLeaseResource(ConfigurableResource):
    """The GPUs of this host as a Dagster resource: ``with gpus.lease(2) as ids: …``."""

    directory: str | None = Field(
        default=None, description="Folder of the lock files, on a local disk; one per user if not set."
    )
    devices: str = Field(default="auto", description="auto, none, or device names as CUDA_VISIBLE_DEVICES takes them.")
    max_used_share: float = Field(
        default=0.2, gt=0, le=1, description="A GPU filled by others beyond this share is passed over."
    )
    timeout_seconds: float | None = Field(
        default=None, gt=0, description="Longest wait for a GPU; as long as it takes if not set."
    )

    @contextmanager
    def lease(self, count: int = 1) -> Iterator[list[str]]:
        """`GpuLeases.acquire`, with the wait told to the step's log."""
        leases = GpuLeases(self.directory, self.devices, max_used_share=self.max_used_share)
        with leases.acquire(count, self.timeout_seconds, get_dagster_logger().info) as ids:
            yield ids


def cuda_has_started() -> bool:
    """Whether torch has started CUDA in this process; doesn't import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def _same_devices(gpus: list[Gpu], count: int) -> list[Gpu]:
    """The devices that CUDA has started with, if they are those of a former lease of as many."""
    seen = GpuLeases._latest
    if seen is None or len(seen) != count:
        raise RuntimeError(
            "CUDA has started in this process, with "
            + ("devices that were not leased" if seen is None else f"GPU {', '.join(seen)}")
            + f", so {count} other GPU(s) can't be shown to it any more: lease them before a model library loads, "
            "or run each step in a process of its own (Dagster's multiprocess executor)"
        )
    return [gpu for gpu in gpus if gpu.id in seen]
