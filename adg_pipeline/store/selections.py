"""Selections and bins in the store: small directories, each published as a whole."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from adg_pipeline.errors import StoreError
from adg_pipeline.host.files import publish_directory
from adg_pipeline.host.shared_files import folder_at_hand, named
from adg_pipeline.store.tables import UNREADABLE


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """``manifest.json`` of a published directory; None where nothing is published. Raises StoreError if damaged."""
    path = folder_at_hand(directory) / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise damaged(path, str(error)) from error
    return manifest


def damaged(path: Path, reason: str) -> StoreError:
    """A file of a published directory that isn't what was published."""
    mend = "it is made again, nothing before it is computed again"
    return StoreError(
        f"{named(path)}: damaged ({reason}). Delete {named(path.parent)}, then run again: {mend}.", delete=[path.parent]
    )


def arm_of(manifest: Mapping[str, Any]) -> str:
    """Whose subset it is; arms were called selectors before."""
    return str(manifest["arm"] if "arm" in manifest else manifest["selector"])


def content_id(manifest: Mapping[str, Any]) -> str:
    """Name of a subset by its content: the first 12 hex digits of the SHA-256 of its ``subset.parquet``."""
    return str(manifest["files_sha256"]["subset.parquet"])[:12]


def require_files(directory: Path, sums: Mapping[str, str]) -> None:
    """Raise StoreError unless the files of a published directory are those of its manifest (name → SHA-256)."""
    for name, expected in sums.items():
        path = directory / name
        if not path.exists():
            raise damaged(path, "it is missing")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise damaged(path, "its checksum is not that of the manifest")


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (directory / "manifest.json").write_text(text + "\n", encoding="utf-8")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write Parquet by way of memory: polars itself calls a disk that is full a fault of the format."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    path.write_bytes(buffer.getbuffer())


class BinStore:
    """Centroids (C, d) float32, the bin of every example, and what they were fitted on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def manifest(self) -> dict[str, Any] | None:
        return read_manifest(self.directory)

    def centroids(self) -> np.ndarray:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = folder_at_hand(self.directory) / "centroids.safetensors"
        try:
            return load_file(path)["centroids"]
        except (OSError, SafetensorError) as error:
            raise damaged(path, str(error)) from error

    def assignments(self) -> pl.DataFrame:
        """Columns shard, example_id, bin (int32)."""
        path = folder_at_hand(self.directory) / "assignments.parquet"
        try:
            return pl.read_parquet(path, glob=False)
        except UNREADABLE as error:
            raise damaged(path, str(error)) from error

    def assigned(self, shards: Sequence[str]) -> pl.DataFrame:
        """The same of some shards; the others aren't held."""
        path = folder_at_hand(self.directory) / "assignments.parquet"
        try:
            return pl.scan_parquet(path, glob=False).filter(pl.col("shard").is_in(list(shards))).collect()
        except UNREADABLE as error:
            raise damaged(path, str(error)) from error

    def publish(self, centroids: np.ndarray, assignments: pl.DataFrame, manifest: dict[str, Any]) -> None:
        from safetensors.numpy import save_file

        def fill(directory: Path) -> None:
            save_file({"centroids": np.ascontiguousarray(centroids)}, directory / "centroids.safetensors")
            write_frame(assignments, directory / "assignments.parquet")
            write_manifest(directory, manifest)

        publish_directory(self.directory, fill)
