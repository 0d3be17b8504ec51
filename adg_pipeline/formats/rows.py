"""The values of a file's records: each frame decoded by itself, or the rows of a Parquet file."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from adg_pipeline.formats import framing, parquet
from adg_pipeline.formats.errors import Unusable, encodable
from adg_pipeline.formats.fields import describe
from adg_pipeline.formats.schema import EXCERPT_CHARS, Rejection
from adg_pipeline.formats.shapes.flan_cot import read_line
from adg_pipeline.formats.streams import StreamBroken, read_chunks
from adg_pipeline.progress import Progress

Container = Literal["lines", "array", "tsv", "parquet"]


@dataclass(frozen=True, slots=True)
class Row:
    """One record: its value, or why it has none. text: its bytes, where the file has them."""

    number: int
    line: int | None
    value: Mapping[str, Any] | Unusable
    text: bytes | None = None

    def rejected(self, fault: Unusable) -> Rejection:
        return Rejection(self.number, self.line, fault.kind, str(fault), self._excerpt())

    def _excerpt(self) -> str:
        if self.text is not None:
            return self.text[: framing.HEAD_BYTES].decode("utf-8", "replace")[:EXCERPT_CHARS]
        if isinstance(self.value, Unusable):
            return ""
        return encodable(json.dumps(self.value, ensure_ascii=False, default=str)[:EXCERPT_CHARS])[:EXCERPT_CHARS]


def read_rows(path: Path, container: Container, limit: int, progress: Progress | None = None) -> Iterator[Row]:
    """The file's records in order. limit: most bytes of one record.

    Where the file breaks off, the last row is a fault at that place; what came before it was read.
    """
    if container == "parquet":
        for number, value in parquet.read_values(path, progress):
            yield Row(number, None, value)
        return
    frames = framing.elements if container == "array" else framing.lines
    decode = _decode_tsv if container == "tsv" else _decode_json
    number, line = 0, 1
    try:
        for frame in frames(read_chunks(path, progress), limit):
            number, line = frame.number, frame.line
            yield Row(number, line, frame.fault or _decoded(frame.data, decode), frame.data)
    except StreamBroken as broken:
        yield Row(number + 1, None, Unusable("broken file", f"{broken}, after line {line}"), b"")


def _decoded(data: bytes, decode: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any] | Unusable:
    try:
        return decode(data.decode())
    except Unusable as fault:
        return fault
    except UnicodeDecodeError as error:
        return Unusable("not UTF-8", f"byte {error.start + 1} of the record is 0x{data[error.start]:02x}")


def _decode_tsv(text: str) -> Mapping[str, Any]:
    return read_line(text)


def _decode_json(text: str) -> Mapping[str, Any]:
    """The object as `json.loads` gives it: of a key that stands twice, the last value counts."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise Unusable("not JSON", f"{error.msg} at character {error.pos + 1} of the record") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise Unusable("not JSON", str(error)[:EXCERPT_CHARS]) from error
    except RecursionError as error:
        raise Unusable("nested too deeply") from error
    if not isinstance(value, dict):
        raise Unusable("not an object", f"the record is {describe(value)}")
    return value
