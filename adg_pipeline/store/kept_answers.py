"""Answers that no shard holds any more: paid for, so they are kept for a while, should their questions come back.

A file that is renamed, split otherwise or edited takes its answers along by way of this folder. Every file in it is a
generations table or a journal of answers.
"""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.host.disk import disk_faults
from adg_pipeline.host.files import write_atomically
from adg_pipeline.host.mirror import mirror_of
from adg_pipeline.host.shared_files import all_at_hand, at_hand, move, names_in
from adg_pipeline.resources.generators.journal import journal_at_hand, journals_in, move_journal

KEEP_DAYS = 30


class KeptAnswers:
    """A folder of tables and journals, each deleted a month after it came."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def files(self) -> list[Path]:
        tables = [self._directory / name for name in names_in(self._directory) if name.endswith(".parquet")]
        journals = [self._directory / name for name in journals_in(self._directory)]
        return sorted([*all_at_hand(tables), *(path if path.exists() else journal_at_hand(path) for path in journals)])

    def take(self, path: Path) -> None:
        """Move a table or a journal here, if it exists, in one step: it is always found in one of the two places."""
        target = self._place(path.stem, path.suffix)
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".jsonl":
                move_journal(path, target)
            elif at_hand(path).exists():
                move(path, target)
            else:
                return
            with suppress(FileNotFoundError):
                os.utime(target)  # its days begin now
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
        if mirror := mirror_of(self._directory):
            mirror.forget_older(self._directory, oldest)
        for path in self._directory.glob("[!.]*.*"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue  # another process was faster
