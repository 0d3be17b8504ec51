"""Checkpoints in the store, a folder for every arm and seed: ``checkpoints/ARM/SEED/``.

Before seeds had folders, an arm's one checkpoint lay in ``checkpoints/ARM/`` itself. It is read where it lies, and moved the
next time that the arm is trained: it would otherwise be swapped for the new one, with all other seeds in it.
"""

import json
from pathlib import Path
from typing import Any

from adg_pipeline.host.shared_files import folder_at_hand, names_in

MANIFEST = "training_manifest.json"
SMALL = 2**20  # bytes up to which a file of a checkpoint tells of it, instead of being its weights


def read_training_manifest(checkpoint: Path) -> dict[str, Any] | None:
    """The record of a checkpoint; None where there is none. Raises ValueError for a damaged one."""
    try:
        manifest: dict[str, Any] = json.loads((checkpoint / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return manifest


def checkpoint_folder(of_arm: Path, seed: int) -> Path:
    """Where the checkpoint of a seed lies, or will lie."""
    return of_arm if _flat_seed(of_arm) == seed else of_arm / str(seed)


def trained_seeds(of_arm: Path) -> list[int]:
    """Seeds of which a checkpoint is stored, in order."""
    flat = _flat_seed(of_arm)
    named = [int(name) for name in names_in(of_arm, folders=True) if name.isdigit()]
    found = {seed for seed in named if (folder_at_hand(of_arm / str(seed), SMALL) / MANIFEST).exists()}
    return sorted(found if flat is None else {flat, *found})


def nest(of_arm: Path, seed: int) -> None:
    """Move a checkpoint that lies as before to the folder of its seed. seed: that is about to be trained; what an
    unfinished training left is its own if it is of the same job, and is deleted by it if not.
    """
    aside = of_arm.with_name(f".{of_arm.name}.flat")
    if _flat_seed(of_arm) is not None and not aside.exists():
        of_arm.rename(aside)
    if aside.exists():
        of_arm.mkdir(exist_ok=True)
        aside.rename(of_arm / str(_flat_seed(aside)))
    for work in of_arm.parent.glob(f".{of_arm.name}.work-*"):
        of_arm.mkdir(exist_ok=True)
        work.rename(of_arm / work.name.replace(f".{of_arm.name}.", f".{seed}.", 1))


def _flat_seed(of_arm: Path) -> int | None:
    """Seed of the checkpoint that lies in the arm's folder itself. One without a readable record is of no seed."""
    try:
        manifest = read_training_manifest(of_arm)
        return None if manifest is None else int(manifest["seed"])
    except (ValueError, KeyError, TypeError):
        return None
