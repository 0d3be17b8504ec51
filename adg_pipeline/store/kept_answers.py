"""Answers that no shard holds any more: paid for, so they are kept for a while, should their questions come back.

A file that is renamed, split otherwise or edited takes its answers along by way of this folder. Every file in it is a
generations table or a journal of answers.
"""

import os
import time
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.host.disk import disk_faults
from adg_pipeline.host.files import write_atomically

KEEP_DAYS = 30


class KeptAnswers:
    """A folder of tables and journals, each deleted a month after it came."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def files(self) -> list[Path]:
        return sorted(path for path in self._directory.glob("*.*") if not path.name.startswith("."))

    def take(self, path: Path) -> None:
        """Move a table or a journal here, if it exists, in one step: it is always found in one of the two places."""
        if not path.exists():
            return
        target = self._place(path.stem, path.suffix)
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.utime(path)  # its days begin now
            path.rename(target)
        self._forget_old()

    def put(self, shard: str, answers: pa.Table) -> None:
        """Keep rows of a generations table."""
        write_atomically(
            self._place(shard, ".parquet"), lambda temporary: pq.write_table(answers, temporary, compression="zstd")
        )
        self._forget_old()

    def new_journal(self, name: str) -> Path:
        """Where answers that belong to no shard yet are written as they come."""
        return self._place(name, ".jsonl")

    def _place(self, shard: str, suffix: str) -> Path:
        return self._directory / f"{shard}-{uuid.uuid4().hex[:12]}{suffix}"

    def _forget_old(self) -> None:
        oldest = time.time() - KEEP_DAYS * 86_400
        for path in self.files():
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue  # another process was faster
