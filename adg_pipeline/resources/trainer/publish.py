"""How a finished checkpoint gets to its place: whole or not at all."""

import shutil
from pathlib import Path

from adg_pipeline.host.files import swap_in
from adg_pipeline.resources.trainer.checkpoints import flush
from adg_pipeline.resources.trainer.job import MANIFEST, TrainingJob, TrainingManifest


def published_manifest(job: TrainingJob) -> TrainingManifest | None:
    """The record of the published checkpoint, if it is of this very job."""
    path = job.published / MANIFEST
    if not path.is_file():
        return None
    manifest = TrainingManifest.model_validate_json(path.read_bytes())
    return manifest if manifest.job_fingerprint == job.fingerprint else None


def publish(finished: Path, output: Path) -> None:
    """Move a finished folder to its place. Both must lie on one file system.

    A folder that is there already is moved away first, and deleted last: a reader finds the old checkpoint, for a
    moment none, and then the new one, but never a part of either. `repair` ends what a crash interrupts.
    """
    flush(finished)
    replaced = _replaced(output)
    swap_in(finished, output, replaced)
    _delete(replaced)


def repair(output: Path) -> None:
    """Undo or end a publication that a crash interrupted."""
    replaced = _replaced(output)
    if replaced.exists() and not output.exists():
        replaced.rename(output)
    _delete(replaced)


def delete_other_work(job: TrainingJob) -> list[Path]:
    """Delete the work folders of other jobs with the same output: nothing of them can be used any more."""
    others = [path for path in job.work.parent.glob(f".{job.published.name}.work-*") if path != job.work]
    for other in others:
        shutil.rmtree(other)
    return others


def _replaced(output: Path) -> Path:
    return output.with_name(f".{output.name}.replaced")


def _delete(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
