"""Processes of a running pipeline by the part they play, and the moments at which to kill them."""

import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

FOLDERS = (
    "raw_pool", "generations", "lancedb/answer_embeddings.lance", "lancedb/instruction_embeddings.lance",
    "lancedb/provenance", "divergence_scores", "semantic_bins", "selections", "checkpoints",
)  # fmt: skip
PATIENCE_SECONDS = 15.0  # longest wait for a moment or for a victim


def find(root: psutil.Process, part: str) -> psutil.Process | None:
    """A process below `root` that plays a part now; None if none does."""
    for process in _family(root):
        if _part_of(process) == part:
            return process
    return None


def kill(process: psutil.Process) -> None:
    """SIGKILL, and wait until it is gone or only its parent can bury it."""
    process.kill()
    while _lives(process):
        time.sleep(0.005)


def kill_with_family(root: psutil.Process) -> None:
    """What a power cut does: everything at once."""
    for process in [root, *_family(root)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def wait_for_moment(
    rng: random.Random, *, alive: Callable[[], bool], data: Path, longest: float, folders: Sequence[str] = FOLDERS
) -> str:
    """Wait for a random time, or for the n-th new file below one folder of the store. Returns which, in words.

    The second kind finds what the first hardly ever does: the middle of a commit, and what lies between a write and its
    event.
    """
    if rng.random() < 0.4:
        seconds = rng.uniform(0.0, longest)
        until = time.monotonic() + seconds
        while alive() and time.monotonic() < until:
            time.sleep(0.01)
        return f"after {seconds:.1f} s"
    folder, count = rng.choice(folders), rng.randint(1, 4)
    before = _paths(data / folder)
    until = time.monotonic() + PATIENCE_SECONDS
    while alive() and time.monotonic() < until:
        if len(_paths(data / folder) - before) >= count:
            return f"at new file {count} of {folder}"
        time.sleep(0.002)
    return f"no new file in {folder}"


def _paths(folder: Path) -> set[str]:
    # os.walk passes over a folder that goes away while it looks: published folders are swapped by a rename.
    return {f"{path}/{name}" for path, folders, files in os.walk(folder) for name in (*folders, *files)}


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _part_of(process: psutil.Process) -> str:
    """training, step, worker (of a run), daemon, server (of code), or nothing of these."""
    try:
        words, parent = " ".join(process.cmdline()), process.parent()
        above = " ".join(parent.cmdline()) if parent is not None else ""
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
    if "resource_tracker" in words:
        return ""
    if "adg_pipeline.resources.trainer.script" in words:
        return "training"
    if "multiprocessing.forkserver" in above:
        return "step"
    if "dagster api grpc" in above and "multiprocessing" in words:
        return "worker"
    if "dagster._daemon" in words:
        return "daemon"
    return "server" if "dagster api grpc" in words else ""


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
