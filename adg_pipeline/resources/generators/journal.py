"""Answers that were paid for, on disk as soon as they are had: one JSON line each, found again by request id."""

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from adg_pipeline.host.disk import disk_faults
from adg_pipeline.resources.generators.base import Answer
from adg_pipeline.resources.generators.endings import ending

logger = logging.getLogger(__name__)


class AnswerJournal:
    """Append-only JSONL file of finished requests, read when opened.

    Each line is handed to the operating system as it is written, so that it outlives the process; `flush` forces them
    to the disk, so that they outlive the machine. One writer at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, Answer] = {}
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        with disk_faults(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a line goes out in one write.
            self._file = self.path.open("ab+", buffering=0)
            self._file.truncate(self._read())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self.flush()
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def request_ids(self) -> set[str]:
        return set(self._answers)

    def get(self, request_id: str) -> Answer | None:
        """The answer to a request, None if it isn't here."""
        return self._answers.get(request_id)

    def append(self, request_id: str, answer: Answer) -> None:
        """Keep an answer."""
        line = json.dumps({"request_id": request_id, **asdict(answer)}, ensure_ascii=True) + "\n"
        with disk_faults(self.path):
            data = line.encode("ascii")
            # The system writes what there is room for and says how much that was; only the next write then fails.
            while data:
                data = data[self._open_file.write(data) :]
        self._answers[request_id] = answer

    def flush(self) -> None:
        """Force what was appended to the disk."""
        with disk_faults(self.path):
            os.fsync(self._open_file.fileno())

    def discard(self) -> None:
        """Delete the file, once its answers stand in a committed table. The journal may be closed or open."""
        self._answers.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        self.path.unlink(missing_ok=True)

    @property
    def _open_file(self) -> BinaryIO:
        if self._file is None:
            raise ValueError(f"the journal {self.path} isn't open: use it in a `with` statement")
        return self._file

    def _read(self) -> int:
        """Read all whole lines; return where the last of them ends."""
        self._answers, end = _read(self.path)
        return end


def read_journal(path: Path) -> dict[str, Answer]:
    """The answers of a journal that is perhaps being written to by somebody else, by request id."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Answer], int]:
    """All whole lines, and where the last of them ends. What follows was torn off by a crash."""
    answers: dict[str, Answer] = {}
    end = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                logger.warning("%s: line %d was cut off by a crash; its request is asked again", path, number)
                break
            end += len(line)
            try:
                name, answer = _parse(line)
                if ending(answer.finish_reason):  # refusals were once kept as if they were answers
                    answers[name] = answer
            except (ValueError, KeyError, TypeError):
                logger.warning("%s: line %d is damaged; its request is asked again", path, number)
    return answers, end


def _parse(line: bytes) -> tuple[str, Answer]:
    values = json.loads(line)
    return values["request_id"], Answer(
        values["text"], values["finish_reason"], values["output_tokens"], values["prompt_tokens"], values.get("logprob")
    )
