"""The rejects file: JSON lines of record, line, kind, reason and excerpt."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from adg_pipeline.formats.repeats import Repeat
from adg_pipeline.formats.schema import EXCERPT_CHARS, Rejection


class RejectsWriter:
    """Writes rejections as they come: unusable records in the file's order, then the repeats."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self.reasons: Counter[str] = Counter()
        self.first: Rejection | None = None

    @property
    def count(self) -> int:
        return self.reasons.total()

    def add(self, rejection: Rejection) -> None:
        self.first = self.first or rejection
        self.reasons[rejection.kind] += 1
        self._file.write(json.dumps(asdict(rejection), ensure_ascii=False) + "\n")

    def __enter__(self) -> "RejectsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def repeat_kind(repeat: Repeat) -> str:
    return "duplicate" if repeat.same_content else "same id, other content"


def rejected_repeat(repeat: Repeat, row: Mapping[str, Any]) -> Rejection:
    """The rejection of an example that another of its id replaces. row: its columns."""
    reason = f"duplicate of record {repeat.kept}"
    if not repeat.same_content:
        reason = (
            f"record {repeat.kept} has the same id {row['example_id'][:80]!r} with other content and is kept, "
            f"since its content hash is the smaller; record {repeat.record} is not"
        )
    return Rejection(repeat.record, None, repeat_kind(repeat), reason, row["instruction"][:EXCERPT_CHARS])
