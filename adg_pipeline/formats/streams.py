"""A file's text as chunks of UTF-8 bytes: decompressed, and without byte-order mark.

gzip and zstd are recognised by their first bytes, whatever the file is called, and may hold several members or frames.
UTF-16 and UTF-32 are recognised by their byte-order mark; anything else is taken for UTF-8, which `rows` checks.
"""

import codecs
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa

from adg_pipeline.progress import Progress

Compression = Literal["none", "gzip", "zstd"]

CHUNK_BYTES = 1 << 20
# Arrow loses what it has of a read that meets the end of cut data, so compressed data is read in small pieces.
PIECE_BYTES = 1 << 13
_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# UTF-32 before UTF-16: the little-endian mark of the one begins with that of the other.
_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class StreamBroken(ValueError):
    """The bytes end too early or are damaged; what came before was fine."""


def first_bytes(path: Path, count: int = 8) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def read_head(path: Path, size: int = CHUNK_BYTES) -> tuple[bytes, bool]:
    """The first bytes of the text, and whether they are all of it. Raises StreamBroken as `read_chunks` does."""
    head = bytearray()
    for chunk in read_chunks(path):
        head += chunk
        if len(head) > size:
            return bytes(head[:size]), False
    return bytes(head), True


def compression_of(path: Path) -> Compression:
    head = first_bytes(path)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def read_chunks(path: Path, progress: Progress | None = None) -> Iterator[bytes]:
    """The text in chunks of at most a MiB. `progress` gets (bytes of the file read, its size) once per MiB.

    Raises StreamBroken where compressed or UTF-16 data is cut short or damaged, after the chunks before the break.
    """
    with path.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        reported = 0
        for chunk in _as_utf8(_decompressed(file, compression_of(path))):
            done = file.tell()
            if progress is not None and (done - reported >= CHUNK_BYTES or done >= total):
                progress(done, total)
                reported = done
            yield chunk


def _decompressed(file: BinaryIO, compression: Compression) -> Iterator[bytes]:
    if compression == "none":
        # Only what was there at the start: one might run after a growing file for ever. `convert` tells that it grew.
        left = os.fstat(file.fileno()).st_size
        while chunk := file.read(min(CHUNK_BYTES, left)):
            left -= len(chunk)
            yield chunk
        return
    # Arrow's streams, since zstandard's own reader takes a cut file for a complete one.
    stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), compression)
    try:
        while chunk := stream.read(min(CHUNK_BYTES, PIECE_BYTES)):
            yield chunk
    except OSError as error:
        if error.errno is not None:  # the disk's fault, not the data's
            raise
        raise StreamBroken(f"the {compression} data is cut short or damaged ({error})") from error


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    if not first:
        return
    encoding = next((name for mark, name in _WIDE.items() if first.startswith(mark)), None)
    if encoding is None:
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from chunks
        return
    # A lone surrogate passes here and becomes invalid UTF-8, so that it costs its record and not the whole file.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    try:
        for chunk in chain([first], chunks):
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise StreamBroken(f"not valid {encoding.upper()} ({error.reason})") from error
