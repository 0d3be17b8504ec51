"""Answers that no shard holds any more: kept for a while, then deleted."""

import os
import time
from pathlib import Path

import pyarrow as pa

from adg_pipeline.store.kept_answers import KEEP_DAYS, KeptAnswers


def test_what_is_taken_moves_and_its_days_begin_then(tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    table.write_bytes(b"answers")
    os.utime(table, (1, 1))
    kept = KeptAnswers(tmp_path / "kept")
    kept.take(table)
    kept.take(tmp_path / "never-there.jsonl")
    (found,) = kept.files()
    assert not table.exists()
    assert (found.read_bytes(), found.suffix) == (b"answers", ".parquet")


def test_a_month_later_it_is_deleted(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path / "kept")
    kept.put("a", pa.table({"x": [1]}))
    (old,) = kept.files()
    long_ago = time.time() - (KEEP_DAYS + 1) * 86_400
    os.utime(old, (long_ago, long_ago))
    kept.put("a", pa.table({"x": [2]}))
    (left,) = kept.files()
    assert left != old
