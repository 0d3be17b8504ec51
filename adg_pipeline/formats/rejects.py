"""The rejects file: JSON lines of record, line, kind, reason and excerpt."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from adg_pipeline.formats.repeats import Repeats
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


def rejected_repeats(
    repeats: Repeats, rows: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Rejection, Mapping[str, Any]]]:
    """A rejection for each example that goes, with its row. rows: theirs, in the same order."""
    each = zip(repeats.records.tolist(), repeats.kept.tolist(), repeats.same_content.tolist(), rows, strict=True)
    for record, kept, same_content, row in each:
        kind, reason = "duplicate", f"duplicate of record {kept}"
        if not same_content:
            kind = "same id, other content"
            reason = (
                f"record {kept} has the same id {row['example_id'][:80]!r} with other content and is kept, "
                f"since its content hash is the smaller; record {record} is not"
            )
        yield Rejection(record, None, kind, reason, row["instruction"][:EXCERPT_CHARS]), row
