"""Files that are made elsewhere first, checked, and then put in place whole."""

import hashlib
import shutil
from pathlib import Path

from adg_pipeline.host.files import write_atomically


def put_in_place(staged: Path, target: Path) -> None:
    """Move a finished file to `target`: whoever reads it sees the old one or the new one."""

    def move(temporary: Path) -> None:
        shutil.move(staged, temporary)

    write_atomically(target, move)


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's bytes: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
