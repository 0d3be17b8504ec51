"""What a crashed training resumes from: the trainer's checkpoints, those that were written to the end.

Weights are safetensors. Optimizer, scheduler and random states are the Hugging Face Trainer's own files, which it
writes with ``torch.save`` and reads with ``weights_only=True``: no code in them can run. They lie in the work folder
only, and are deleted with it once the checkpoint is published.
"""

import json
import os
import re
import shutil
from pathlib import Path

_COMPLETE = "complete"
_NAME = re.compile(r"checkpoint-(\d+)")


def mark_complete(checkpoint: Path) -> None:
    """Say that all of a checkpoint is on disk. To be called when every process has written its part."""
    flush(checkpoint)
    (checkpoint / _COMPLETE).touch()
    flush(checkpoint)


def step_of(checkpoint: Path | None) -> int:
    """The optimizer step of a checkpoint; 0 for none."""
    match = _NAME.fullmatch(checkpoint.name) if checkpoint is not None else None
    return int(match[1]) if match else 0


def newest_complete(work: Path) -> Path | None:
    """The checkpoint with the highest step, as a number, among those written to the end."""
    found = (path for path in work.glob("checkpoint-*") if step_of(path) and (path / _COMPLETE).is_file())
    return max(found, key=step_of, default=None)


def is_last(checkpoint: Path) -> bool:
    """Whether a checkpoint ends its training."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return bool(state["global_step"] >= state["max_steps"])


def keep_only(work: Path, checkpoint: Path | None) -> None:
    """Delete the other checkpoints: half-written ones, and those that a newer one has replaced."""
    for other in work.glob("checkpoint-*"):
        if other != checkpoint:
            shutil.rmtree(other)


def flush(folder: Path) -> None:
    """Have every file below a folder, and its name, on the disk, so that a power cut can't undo what follows."""
    for directory, _, names in os.walk(folder):
        for path in (directory, *(os.path.join(directory, name) for name in names)):  # noqa: PTH118
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
