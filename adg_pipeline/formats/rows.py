"""The values of a file's records: each frame decoded by itself, or the rows of a Parquet file."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from adg_pipeline.formats import framing, parquet
from adg_pipeline.formats.comma_separated import read_csv
from adg_pipeline.formats.enclosed import is_turns, keys_after, records_at, table_rows
from adg_pipeline.formats.errors import Unusable, encodable
from adg_pipeline.formats.fields import Notes, as_record, describe
from adg_pipeline.formats.schema import EXCERPT_CHARS, Rejection
from adg_pipeline.formats.shapes import shape_of
from adg_pipeline.formats.shapes.flan_cot import COLUMNS, read_line
from adg_pipeline.formats.streams import StreamBroken, read_chunks, read_head
from adg_pipeline.progress import Progress

Container = Literal["lines", "array", "enclosed", "table", "tsv", "csv", "parquet"]


class Row(msgspec.Struct, frozen=True):
    """One record. known: its value, or why it has none; None for one that is JSON, until `value` decodes it. text: its
    bytes, where the file has them."""

    number: int
    line: int | None
    known: Mapping[str, Any] | Unusable | None
    text: bytes | None = None

    def value(self) -> Mapping[str, Any] | Unusable:
        """The record's value, or why it has none."""
        return _decoded(self.text or b"", _decode_json) if self.known is None else self.known

    def rejected(self, fault: Unusable) -> Rejection:
        return Rejection(self.number, self.line, fault.kind, str(fault), self._excerpt())

    def _excerpt(self) -> str:
        if self.text is not None:
            return self.text[: framing.HEAD_BYTES].decode("utf-8", "replace")[:EXCERPT_CHARS]
        if isinstance(self.known, Unusable):
            return ""
        return encodable(json.dumps(self.known, ensure_ascii=False, default=repr)[:EXCERPT_CHARS])[:EXCERPT_CHARS]


def read_rows(
    path: Path,
    container: Container,
    limit: int,
    progress: Progress | None = None,
    notes: Notes | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """The file's records in order. limit: most bytes of one record.

    Where the file breaks off, the last row is a fault at that place; what came before it was read. notes: gets the keys
    beside the list of records, where that stands under a key. columns: as `raw_pool.columns` has it, names that a header
    may have, too.
    """
    if container == "parquet":
        for number, value in parquet.read_values(path, progress):
            yield Row(number, None, value)
        return
    number = 0
    line: int | None = 1
    try:
        chunks = read_chunks(path, progress)
        if container == "table":
            for value in table_rows(chunks):
                number += 1
                yield Row(number, None, value if isinstance(value, dict) else not_an_object(value))
            return
        if container == "csv":
            for number, line, value in read_csv(chunks, limit):
                yield Row(number, line, value)
            return
        if container == "tsv":
            yield from _tsv_rows(framing.lines(chunks, limit), columns or {})
            return
        if container == "lines":
            frames = framing.lines(chunks, limit)
        elif container == "array":
            frames = framing.elements(chunks, limit)
        else:
            beside = notes.unused if notes is not None else Counter[str]()
            frames = _enclosed(read_head(path)[0], chunks, limit, beside)
        for frame in frames:
            number, line = frame.number, frame.line
            yield Row(number, line, frame.fault, frame.data)
    except StreamBroken as broken:
        yield Row(number + 1, None, Unusable("broken file", f"{broken}, after line {line}"), b"")
    except Unusable as fault:
        yield Row(number + 1, None, fault, b"")


def _enclosed(head: bytes, chunks: Iterator[bytes], limit: int, beside: Counter[str]) -> Iterator[framing.Frame]:
    found = records_at(head)
    assert found is not None  # which is how the container was recognised
    at, before = found
    beside.update(before)
    return framing.elements(_behind(chunks, at), limit, lambda rest: beside.update(keys_after(rest)))


def _behind(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The chunks without their first bytes. In their place stand as many line breaks as those had, so that lines count."""
    for chunk in chunks:
        skipped, rest = chunk[:count], chunk[count:]
        count -= len(skipped)
        yield b"\n" * skipped.count(b"\n") + rest


def _tsv_rows(frames: Iterator[framing.Frame], columns: Mapping[str, str]) -> Iterator[Row]:
    header: list[str] | None = None
    for frame in frames:
        if frame.number == 1:
            header = header_of(frame.data, columns)
            if header is not None:
                continue
        number = frame.number - (header is not None)
        read = read_line if header is None else partial(_read_cells, header)
        yield Row(number, frame.line, frame.fault or _decoded(frame.data, read), frame.data)


def header_of(line: bytes, columns: Mapping[str, str]) -> list[str] | None:
    """The column names of a first line, if these are names of some shape's fields, in any order; else None."""
    header = [name.strip().strip('"') for name in line.decode("utf-8", "replace").split("\t")]
    return header if len(set(header)) == len(header) and is_header(header, columns) else None


def is_header(names: Sequence[str], columns: Mapping[str, str]) -> bool:
    """Whether a table with these column names has a known shape."""
    record = as_record(dict.fromkeys(names, ""), columns if set(columns.values()) <= set(names) else {})
    return len(names) > 1 and shape_of(record) is not None


def _read_cells(header: Sequence[str], line: str) -> Mapping[str, Any]:
    cells = line.split("\t")
    if '"' in line and (quoted := _quoted(line)) is not None:
        cells = quoted
    if len(cells) != len(header):
        raise Unusable("wrong columns", f"{len(cells)} columns, not the {len(header)} of the header")
    if set(header) == set(COLUMNS):
        cells = [cell.replace("\\n", "\n") for cell in cells]
    return dict(zip(header, cells, strict=True))


def _quoted(line: str) -> list[str] | None:
    """Cells of a line with quotes as spreadsheets write them; None where the quotes are but marks of the text."""
    csv.field_size_limit(sys.maxsize)
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error as error:
        if line.count('"') % 2:
            raise Unusable("wrong columns", "a quoted cell goes on past the line's end") from error
        return None


def _decoded(data: bytes, decode: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any] | Unusable:
    try:
        return decode(data.decode())
    except Unusable as fault:
        return fault
    except UnicodeDecodeError as error:
        return Unusable("not UTF-8", f"byte {error.start + 1} of the record is 0x{data[error.start]:02x}")


def _decode_json(text: str) -> Mapping[str, Any]:
    """The object as `json.loads` gives it: of a key that stands twice, the last value counts. A list is one of turns."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise Unusable("not JSON", f"{error.msg} at character {error.pos + 1} of the record") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise Unusable("not JSON", str(error)[:EXCERPT_CHARS]) from error
    except RecursionError as error:
        raise Unusable("nested too deeply") from error
    if is_turns(value):
        return {"messages": value}
    if not isinstance(value, dict):
        raise not_an_object(value)
    if value.keys() >= {"row_idx", "row"} and isinstance(value["row"], dict):  # as the Hub's viewer serves rows
        if value.get("truncated_cells"):
            raise Unusable("cut short", f"the cells {value['truncated_cells']} are truncated")
        return value["row"]
    return value


def not_an_object(value: Any) -> Unusable:
    return Unusable("not an object", f"the record is {describe(value)}")
