"""Selections and bins in the store: small directories, each published as a whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from adg_pipeline.errors import StoreError
from adg_pipeline.files import publish_directory


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """``manifest.json`` of a published directory; None where nothing is published. Raises StoreError if damaged."""
    path = directory / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StoreError(f"{path}: damaged ({error}); delete {directory} and materialise it again") from error
    return manifest


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (directory / "manifest.json").write_text(text + "\n", encoding="utf-8")


class BinStore:
    """Centroids (C, d) float32, the bin of every example, and what they were fitted on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def manifest(self) -> dict[str, Any] | None:
        return read_manifest(self.directory)

    def centroids(self) -> np.ndarray:
        from safetensors.numpy import load_file

        return load_file(self.directory / "centroids.safetensors")["centroids"]

    def assignments(self) -> pl.LazyFrame:
        """Columns shard, example_id, bin (int32)."""
        return pl.scan_parquet(self.directory / "assignments.parquet", glob=False)

    def publish(self, centroids: np.ndarray, assignments: pl.DataFrame, manifest: dict[str, Any]) -> None:
        from safetensors.numpy import save_file

        def fill(directory: Path) -> None:
            save_file({"centroids": np.ascontiguousarray(centroids)}, directory / "centroids.safetensors")
            assignments.write_parquet(directory / "assignments.parquet")
            write_manifest(directory, manifest)

        publish_directory(self.directory, fill)
