"""Answers paid for earlier, found by request id in tables and journals of other shards."""

import logging
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.resources.generators.base import Answer
from adg_pipeline.resources.generators.endings import ending
from adg_pipeline.resources.generators.journal import read_journal

logger = logging.getLogger(__name__)


def find_answers(files: Iterable[Path], wanted: Collection[str]) -> dict[str, Answer]:
    """Answers to the wanted requests (request ids) that the files hold: generations tables (.parquet), journals (.jsonl).

    A file that can't be read is passed over with a warning: its answers are paid for again, nothing else is lost. Raises
    FileNotFoundError where one went away meanwhile.
    """
    found: dict[str, Answer] = {}
    missing = set(wanted)
    for file in files:
        if not missing:
            break
        try:
            status = file.stat()
            hashes = _hashes(file, status.st_mtime_ns, status.st_size)
            if not np.isin(_heads(missing), hashes).any():
                continue
            answers = _answers(file)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError) as error:
            logger.warning("%s: can't be read (%s), so its answers can't be used again", file, error)
            continue
        found |= {name: answers[name] for name in missing & answers.keys()}
        missing -= answers.keys()
    return found


def answers_of(table: pa.Table) -> dict[str, Answer]:
    """The answers of a generations table by request id, without refusals, which were once kept as if they were answers."""
    return {
        name: Answer(text, finish_reason, output_tokens, row["prompt_tokens"], logprob)
        for row in table.to_pylist()
        for name, text, finish_reason, output_tokens, logprob in zip(
            row["request_ids"],
            row["answers"],
            row["finish_reasons"],
            row["output_tokens"],
            row.get("output_logprobs") or [None] * len(row["answers"]),
            strict=True,
        )
        if ending(finish_reason)
    }


def without(table: pa.Table, requests: Collection[str]) -> pa.Table:
    """The rows of a generations table that hold an answer to any other request."""
    other = [any(name not in requests for name in names) for names in table["request_ids"].to_pylist()]
    return table.filter(pa.array(other, pa.bool_()))


def request_ids(table: pa.Table) -> set[str]:
    return {name for names in table["request_ids"].to_pylist() for name in names}


@lru_cache(maxsize=4096)
def _hashes(file: Path, mtime_ns: int, size: int) -> np.ndarray:
    """The first eight bytes of each request id in a file: many files are looked through for each shard."""
    if file.suffix == ".jsonl":
        return _heads(read_journal(file))
    return _heads(request_ids(pq.read_table(file, columns=["request_ids"])))


def _heads(requests: Iterable[str]) -> np.ndarray:
    return np.fromiter((int(name[:16], 16) for name in requests), np.uint64)


def _answers(file: Path) -> Mapping[str, Answer]:
    return read_journal(file) if file.suffix == ".jsonl" else answers_of(pq.read_table(file))
