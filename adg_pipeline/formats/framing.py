"""Where records begin and end: the lines of a text, or the elements of a JSON array.

Only boundaries are found here. Each record's bytes are then decoded by themselves, so that a JSON array gives exactly
what `json.loads` gives, a malformed record costs itself and not the rest of the file, and a record over the limit is
skipped without being held. (ijson was tried for arrays: it turns a lone surrogate into "?", stops at the first
malformed record, and takes gigabytes of memory for a file of 100,000 opening brackets.)
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import msgspec

from adg_pipeline.formats.errors import Unusable

HEAD_BYTES = 800  # kept of a record that is too large: 200 characters of up to 4 bytes, for its excerpt

# A string that lies whole in the chunk, the quote that opens one that doesn't, or a mark of structure. Possessive
# quantifiers: nothing to go back to, so the time is linear whatever the bytes are.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_QUOTE, _COMMA = ord('"'), ord(",")


class Frame(msgspec.Struct, frozen=True):
    """The bytes of one record. fault: why they can't be used, if that is known already; `data` is then their start."""

    number: int
    line: int | None
    data: bytes
    fault: Unusable | None = None


class _Gathered:
    """The bytes of one record as they come in; past the limit only their start is kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        fitted = self._size <= self._limit
        self._size += len(piece)
        if self._size <= self._limit:
            self._pieces.append(piece)
        elif fitted:
            self._pieces = [b"".join([*self._pieces, piece[:HEAD_BYTES]])[:HEAD_BYTES]]

    def take(self, last: bytes = b"") -> tuple[bytes, Unusable | None]:
        """The record, with its last piece."""
        if not self._size and len(last) <= self._limit:
            return last, None  # as most are: one piece
        self.add(last)
        data = b"".join(self._pieces)
        fault = None
        if self._size > self._limit:
            fault = Unusable("too large", f"{self._size:,} bytes, more than max_record_mib allows ({self._limit:,})")
        self._pieces, self._size = [], 0
        return data, fault


def is_blank(data: bytes) -> bool:
    return not data or data.isspace()


def lines(chunks: Iterable[bytes], limit: int) -> Iterator[Frame]:
    """Each line that isn't blank. Lines end with LF or CRLF; other line separators of Unicode are text."""
    gathered = _Gathered(limit)
    number, line = 0, 1
    for chunk in chain(chunks, [b"\n"]):
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            data, fault = gathered.take(piece)
            if not is_blank(data):
                number += 1
                yield Frame(number, line, data.removesuffix(b"\r"), fault)
            line += 1
        gathered.add(rest)


class _Marks:
    """Finds brackets and commas outside strings, through strings that run over several chunks."""

    def __init__(self) -> None:
        self.in_string = False
        self._escaped = False  # the chunk ended with a backslash: the next byte belongs to it

    def __call__(self, chunk: bytes) -> Iterator[int]:
        at = self._string_end(chunk, int(self._escaped)) if self.in_string else 0
        for token in _TOKEN.finditer(chunk, at):
            start, end = token.span()
            if chunk[start] != _QUOTE:
                yield start
            elif end - start == 1:
                self._string_end(chunk, end)
                return

    def _string_end(self, chunk: bytes, at: int) -> int:
        """Where the string goes on to; past its closing quote if that is in the chunk."""
        match = _IN_STRING.match(chunk, at)
        assert match is not None  # the pattern matches nothing at all, too
        stop = match.end()
        self._escaped = stop < len(chunk) and chunk[stop] != _QUOTE
        self.in_string = stop == len(chunk) or self._escaped
        return stop + 1


def elements(chunks: Iterable[bytes], limit: int, close: Callable[[bytes], None] | None = None) -> Iterator[Frame]:
    """The elements of the JSON array that the chunks hold.

    An array that doesn't close gives its whole elements, then one frame with a fault at the place of the break. So does
    anything but white space after its end; or, if the array stands in something else, what `close` finds Unusable of the
    bytes after it.
    """
    gathered, marks = _Gathered(limit), _Marks()
    number, depth = 0, 0
    line = begun = 1  # lines up to here, and where the element began
    remaining = iter(chunks)
    for chunk in remaining:
        begin = 0
        for at in marks(chunk):
            mark = chunk[at]
            if mark in b"[{":
                depth += 1
                if depth == 1:
                    gathered.take()  # white space before the array
                    line = begun = line + chunk.count(b"\n", 0, at)
                    begin = at + 1
                continue
            if mark != _COMMA:
                depth -= 1
            if depth > 1 or (depth == 1 and mark != _COMMA):
                continue
            # A comma between elements, or the bracket that closes the array.
            data, fault = gathered.take(chunk[begin:at])
            if not is_blank(data):
                number += 1
                yield Frame(number, begun + _leading_lines(data), data.strip(), fault)
            line = begun = line + chunk.count(b"\n", begin, at)
            begin = at + 1
            if depth <= 0:
                rest = chain([chunk[begin:]], remaining)
                yield from (
                    _trailing(rest, number + 1, line) if close is None else _closed(rest, limit, close, number + 1)
                )
                return
        gathered.add(chunk[begin:])
        line += chunk.count(b"\n", begin)
    data, fault = gathered.take()
    place = begun + _leading_lines(data)
    if depth == 1 and not marks.in_string and not is_blank(data):
        number += 1
        yield Frame(number, place, data.strip(), fault)
        data, place = b"", line
    broken = Unusable("broken file", "it ends before its JSON array is closed")
    yield Frame(number + 1, place, data.strip()[:HEAD_BYTES], broken)


def _leading_lines(data: bytes) -> int:
    return data.count(b"\n", 0, len(data) - len(data.lstrip()))


def _trailing(chunks: Iterable[bytes], number: int, line: int) -> Iterator[Frame]:
    for chunk in chunks:
        if not is_blank(chunk):
            fault = Unusable("broken file", "text follows the end of the JSON array; it was not read")
            yield Frame(number, line + _leading_lines(chunk), chunk.strip()[:HEAD_BYTES], fault)
            return
        line += chunk.count(b"\n")


def _closed(chunks: Iterable[bytes], limit: int, close: Callable[[bytes], None], number: int) -> Iterator[Frame]:
    gathered = _Gathered(limit)
    for chunk in chunks:
        gathered.add(chunk)
    data, fault = gathered.take()
    try:
        if fault is None:
            close(data)
    except Unusable as found:
        fault = found
    if fault is not None:
        yield Frame(number, None, data.strip()[:HEAD_BYTES], fault)
