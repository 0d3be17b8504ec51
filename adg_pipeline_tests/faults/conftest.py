"""Copies of a finished pipeline to damage, and disks that are small enough to fill."""

import gc
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adg_pipeline.store.vectors import TABLES
from adg_pipeline_tests.workbench import NoCapture, Workbench, records

MIB = 2**20


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """What a fresh pipeline makes of the finished one's shards and a third, undisturbed."""
    bench = Workbench(tmp_path_factory.mktemp("grown"), NoCapture())
    for name, first in (("a", 0), ("b", 12), ("c", 24)):
        bench.add(name, records(12, first=first))
    assert bench.adg("run").code == 0
    return bench


@pytest.fixture
def damaged(ready: Workbench) -> Workbench:
    """A copy of the finished pipeline, to be damaged."""
    return ready


@dataclass
class SmallDisk:
    """A copy of the finished pipeline whose data directory is a file system of its own."""

    bench: Workbench

    @property
    def mount(self) -> Path:
        return self.bench.folder / "data"

    @property
    def _ballast(self) -> Path:
        return self.mount / ".ballast"

    def fill(self, leave: int = 0) -> None:
        """Take all its room but `leave` bytes."""
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(65536))
            except OSError:
                pass
            if leave:
                ballast.truncate(ballast.tell() - leave)

    def free(self) -> None:
        self._ballast.unlink()

    def remount(self, mode: str) -> None:
        """Make it read-only ("ro") or writable again ("rw")."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.mount)], check=True)


@pytest.fixture
def disk(finished: Workbench, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[SmallDisk]:
    """The finished pipeline on a disk of 24 MiB, not yet full."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = tmp_path / "small"
    (folder / "data").mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder / "data")], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(finished.folder, folder, dirs_exist_ok=True)
        yield SmallDisk(Workbench(folder, capfd))
    finally:
        gc.collect()  # exceptions that were caught keep files open until then
        subprocess.run(["umount", "--lazy", str(folder / "data")], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file under a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def place_of(bench: Workbench, stage: str, shard: str) -> Path:
    """The file that holds a shard of a stage, or the table that holds those of all shards."""
    if stage in TABLES:
        return bench.store.root / "lancedb" / f"{stage}.lance"
    return bench.store.table_path(stage, shard)


def forget(bench: Workbench, stage: str, shard: str) -> None:
    """Leave a shard of a stage to be computed again."""
    if stage in TABLES:
        bench.store.vectors.remove(stage, shard)
    else:
        place_of(bench, stage, shard).unlink()


def good_files(bench: Workbench) -> dict[str, bytes]:
    """What no fault may touch: pool, tables, vectors, bins, subset. Not locks, ledger and LanceDB's notes of versions."""
    files = contents(bench.store.root)
    return {
        name: data
        for name, data in files.items()
        if not any(part.startswith((".", "_")) or part in ("unfinished", "ledger") for part in Path(name).parts)
    }
