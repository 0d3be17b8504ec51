"""The subset as a table: Parquet as it is, or a folder that `datasets` loads from disk."""

import shutil
import tempfile
from pathlib import Path

from adg_pipeline.formats.exports.base import Format

PARQUET = Format(".parquet", "the subset as it is, provenance included")
DATASETS = Format("", "a folder for datasets.load_from_disk")


def write_parquet(subset: Path, target: Path) -> None:
    shutil.copyfile(subset, target)


def write_dataset(subset: Path, target: Path) -> None:
    """As `datasets` saves it: Arrow files, a description and a state. Streamed, by way of the library's own cache."""
    import datasets
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as cache:
            loaded = datasets.load_dataset("parquet", data_files=str(subset), split="train", cache_dir=cache)
            loaded.info.download_checksums = None  # names this machine's paths
            loaded.save_to_disk(str(target))
            del loaded
    finally:
        if shown:
            enable_progress_bar()
