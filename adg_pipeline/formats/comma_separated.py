"""CSV with a header: cells as spreadsheets and pandas write them, separated by comma or semicolon, line breaks in quotes.

A table without a header is none of ours: what its columns mean can't be known.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.streams import StreamBroken

DELIMITERS = ",;"


def header_cells(line: bytes) -> list[str]:
    """The cells of a first line, split at the delimiter that gives more of them; less than two if it is no header."""
    text = line.decode("utf-8", "replace")
    return max((_cells(text, delimiter) for delimiter in DELIMITERS), key=len)


def read_csv(chunks: Iterator[bytes], limit: int) -> Iterator[tuple[int, int, Mapping[str, Any] | Unusable]]:
    """Record numbers from 1, the line each begins on, and its cells by column. An empty cell is missing.

    limit: most characters of one cell: a quote that isn't closed would take the rest of the file.
    """
    csv.field_size_limit(limit)
    lines = _Lines(chunks, limit)
    first = next((line for line in lines if line.strip()), "")
    skipped = lines.count - 1
    delimiter = max(DELIMITERS, key=lambda delimiter: len(_cells(first, delimiter)))
    header = [name.strip() for name in _cells(first, delimiter)]
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise Unusable("wrong columns", f"the header has {', '.join(map(repr, twice))} more than once")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    while True:
        begins = skipped + 2 + reader.line_num
        value: Mapping[str, Any] | Unusable
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            value = Unusable("not CSV", f"{error}, read from line {begins} to line {skipped + 1 + reader.line_num}")
        else:
            if not any(cells):
                continue  # a blank line, or one of delimiters alone
            value = _value(header, cells)
        number += 1
        yield number, begins, value


def _value(header: Sequence[str], cells: Sequence[str]) -> Mapping[str, Any] | Unusable:
    if len(cells) != len(header):
        return Unusable("wrong columns", f"{len(cells)} columns, not the {len(header)} of the header")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return Unusable("not UTF-8")
    # pandas' index is a column without a name.
    return {name: cell or None for name, cell in zip(header, cells, strict=True) if name}


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


class _Lines:
    """The lines of the text with their ends; bytes that are no UTF-8 become lone surrogates. count: lines given so far."""

    def __init__(self, chunks: Iterator[bytes], limit: int) -> None:
        self._chunks, self._limit = chunks, limit
        self._ended: list[bytes] = []
        self._rest = b""
        self.count = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        while not self._ended:
            chunk = next(self._chunks, None)
            if chunk is None:
                if not self._rest:
                    raise StopIteration
                self._ended, self._rest = [self._rest], b""
            else:
                *ended, self._rest = (self._rest + chunk).split(b"\n")
                self._ended = [line + b"\n" for line in reversed(ended)]
                if len(self._rest) > self._limit:
                    raise StreamBroken(f"a line of more than {self._limit:,} bytes")
        self.count += 1
        return self._ended.pop().decode("utf-8", "surrogateescape")
