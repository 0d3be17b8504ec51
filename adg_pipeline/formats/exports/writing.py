"""Putting an export in its place: streamed, whole or not at all, and never over another."""

import filecmp
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from adg_pipeline.formats.exports.base import COLUMNS, NotHeld, Row, exists
from adg_pipeline.host.files import publish_directory, write_atomically

Write = Callable[[Path], object]


def put(target: Path, write: Write, replace: bool) -> None:
    """Put the file that `write` makes in its place, unless something else is there."""

    def checked(temporary: Path) -> None:
        write(temporary)
        if target.exists() and not replace and not (target.is_file() and filecmp.cmp(temporary, target, shallow=False)):
            raise exists(target)

    write_atomically(target, checked)


def put_folder(target: Path, write: Write, replace: bool) -> None:
    """The same for a folder."""

    def checked(temporary: Path) -> None:
        write(temporary)
        if target.exists() and not replace and not _same(temporary, target):
            raise exists(target)

    publish_directory(target, checked)


def put_text(target: Path, text: str, replace: bool) -> None:
    put(target, lambda temporary: temporary.write_text(text, encoding="utf-8"), replace)


def _same(one: Path, other: Path) -> bool:
    names = [sorted(str(file.relative_to(folder)) for file in folder.rglob("*")) for folder in (one, other)]
    return names[0] == names[1] and not any(filecmp.cmpfiles(one, other, names[0], shallow=False)[1:])


def rows(subset: Path) -> Iterator[Row]:
    with pq.ParquetFile(subset) as file:
        # A subset that was made before there were tools has no such column.
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(1024, columns=columns):
            yield from batch.to_pylist()


def records(
    subset: Path, record: Callable[[Row], dict[str, Any]], left_out: Counter[str]
) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Each row that the format holds, and how; the others are counted by what it can't hold."""
    for row in rows(subset):
        try:
            yield row, record(row)
        except NotHeld as missing:
            left_out[str(missing)] += 1


def write_lines(path: Path, found: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in found:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_array(path: Path, found: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for count, record in enumerate(found, start=1):
            file.write((",\n" if count > 1 else "\n") + json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")
    return count
