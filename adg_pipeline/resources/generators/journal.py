"""Answers that were paid for, on disk as soon as they are had: one JSON line each, found again by request id."""

import json
import logging
import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from adg_pipeline.host.disk import disk_faults
from adg_pipeline.host.mirror import Mirror, mirror_of
from adg_pipeline.resources.generators.base import Answer
from adg_pipeline.resources.generators.endings import ending

logger = logging.getLogger(__name__)

# What the death of a host may cost where the store is an object store: answers that lay on its own disk alone.
AT_RISK_ANSWERS, AT_RISK_SECONDS = 1000, 30.0


class AnswerJournal:
    """Append-only JSONL file of finished requests, read when opened.

    Each line is handed to the operating system as it is written, so that it outlives the process; `flush` forces them
    to the disk, so that they outlive the machine. One writer at a time.

    Where the store is an object store, lines go there in parts, the last ones when the journal is closed: what a host's death
    can cost are `AT_RISK_ANSWERS`, or those of `AT_RISK_SECONDS`, whichever is less.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, Answer] = {}
        self._file: BinaryIO | None = None
        self._mirror: Mirror | None = mirror_of(path)
        self._unsent: list[bytes] = []
        self._sent_at = time.monotonic()

    def __enter__(self) -> Self:
        with disk_faults(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a line goes out in one write.
            self._file = self.path.open("ab+", buffering=0)
            self._file.truncate(self._read())
        if self._mirror:
            self._join(self._mirror)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            try:
                self.flush()
                self._send()
            finally:
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
        line = data = _line(request_id, answer)
        with disk_faults(self.path):
            # The system writes what there is room for and says how much that was; only the next write then fails.
            while data:
                data = data[self._open_file.write(data) :]
        self._answers[request_id] = answer
        if self._mirror:
            self._unsent.append(line)
            if len(self._unsent) >= AT_RISK_ANSWERS or time.monotonic() - self._sent_at > AT_RISK_SECONDS:
                self._send()

    def flush(self) -> None:
        """Force what was appended to the disk."""
        with disk_faults(self.path):
            os.fsync(self._open_file.fileno())

    def discard(self) -> None:
        """Delete the file, once its answers stand in a committed table. The journal is open."""
        self._answers.clear()
        self._unsent.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        self.path.unlink(missing_ok=True)
        if self._mirror:
            self._mirror.remove_lines(self.path)

    def _send(self) -> None:
        if self._mirror and self._unsent:
            self._mirror.put_lines(self.path, b"".join(self._unsent))
            self._unsent.clear()
            self._sent_at = time.monotonic()

    def _join(self, mirror: Mirror) -> None:
        """Have what another host was paid for, and send what this one couldn't send any more."""
        elsewhere, _ = _parsed(self.path, mirror.lines(self.path))
        for name in self._answers.keys() - elsewhere.keys():
            self._unsent.append(_line(name, self._answers[name]))
        for name, answer in elsewhere.items():
            if name not in self._answers:
                self._open_file.write(_line(name, answer))
                self._answers[name] = answer
        self._send()

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
    answers = _read(path)[0] if path.exists() else {}
    if mirror := mirror_of(path):
        answers |= _parsed(path, mirror.lines(path))[0]
    elif not path.exists():
        raise FileNotFoundError(path)
    return answers


def journals_in(folder: Path) -> list[str]:
    """Names of the journals in a folder, sorted."""
    mirror = mirror_of(folder)
    here = (path.name for path in folder.glob("[!.]*.jsonl"))
    return sorted({*here, *(mirror.with_lines(folder) if mirror else ())})


def journal_at_hand(path: Path) -> Path:
    """The path of a journal that nobody writes to, once all its lines lie there; none if there are none."""
    mirror = mirror_of(path)
    if mirror and (lines := mirror.lines(path)):
        lines += path.read_bytes().splitlines(keepends=True) if path.exists() else []
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        temporary.write_bytes(b"".join(dict.fromkeys(lines)))
        temporary.replace(path)
    return path


def move_journal(path: Path, target: Path) -> None:
    """Move a journal that nobody writes to, if there is one: it is always found in one of the two places, or in both."""
    mirror = mirror_of(path)
    if not journal_at_hand(path).exists():
        return
    if mirror:
        mirror.put_lines(target, path.read_bytes())
    path.rename(target)
    if mirror:
        mirror.remove_lines(path)


def _read(path: Path) -> tuple[dict[str, Answer], int]:
    """All whole lines, and where the last of them ends. What follows was torn off by a crash."""
    with path.open("rb") as stream:
        return _parsed(path, stream)


def _parsed(path: Path, lines: Iterable[bytes]) -> tuple[dict[str, Answer], int]:
    answers: dict[str, Answer] = {}
    end = 0
    for number, line in enumerate(lines, start=1):
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


def _line(request_id: str, answer: Answer) -> bytes:
    return (json.dumps({"request_id": request_id, **asdict(answer)}, ensure_ascii=True) + "\n").encode("ascii")


def _parse(line: bytes) -> tuple[str, Answer]:
    values = json.loads(line)
    return values["request_id"], Answer(
        values["text"], values["finish_reason"], values["output_tokens"], values["prompt_tokens"], values.get("logprob")
    )
