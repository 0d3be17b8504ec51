"""Finding out how a pool file is laid out, from its content: the name's suffix decides nothing."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from adg_pipeline.formats.errors import PoolFileError, Unusable
from adg_pipeline.formats.fields import keys_of
from adg_pipeline.formats.rows import Container, read_rows
from adg_pipeline.formats.shapes import expected_shapes, shape_of
from adg_pipeline.formats.streams import Compression, StreamBroken, compression_of, first_bytes, read_chunks
from adg_pipeline.settings.sections import PoolFormat, RawPoolConfig

# Records that vote on the shape, and the bytes of them that are read for it.
PEEK_RECORDS = 100
PEEK_BYTES = 8 << 20

_FOREIGN = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "a 7z archive"}
EXPECTED = (
    "Expected a JSON array, JSON lines, TSV or Parquet (text plain, gzip or zstd; UTF-8, or UTF-16 with byte-order "
    f"mark) of one of these shapes: {expected_shapes()}"
)


@dataclass(frozen=True)
class Layout:
    container: Container
    compression: Compression
    format: PoolFormat


def max_record_bytes(config: RawPoolConfig) -> int:
    return int(config.max_record_mib * 2**20)


def detect_layout(path: Path, config: RawPoolConfig) -> Layout:
    """Compression and container from the first bytes; the shape from `config`, else from the first records' keys.

    Raises PoolFileError for a file that is empty, of a foreign kind, or without a known shape in its first records.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not a file") if not path.exists() else PoolFileError(f"{path}: not a file")
    head = first_bytes(path)
    if not head:
        raise PoolFileError(f"{path}: the file is empty. {EXPECTED}")
    foreign = next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), None)
    if foreign:
        raise PoolFileError(f"{path}: the file is {foreign}; unpack it first. {EXPECTED}")
    compression = compression_of(path)
    container = "parquet" if head.startswith(b"PAR1") else _text_container(path, config.format)
    format, met = _vote(path, container, max_record_bytes(config))
    # Shards that `split` wrote are canonical whatever the files were that they came from.
    if config.format != "auto" and format != "canonical":
        format = config.format
    if format is None:
        raise PoolFileError(f"{path}: read as {container}, no record has a known shape ({met}). {EXPECTED}")
    return Layout(container, compression, format)


def _text_container(path: Path, format: PoolFormat) -> Container:
    """An opening bracket tells, but a line of three columns is TSV whatever it begins with if FLAN CoT is asked for."""
    try:
        line = _first_line(path)
    except StreamBroken as broken:
        raise PoolFileError(f"{path}: {broken}, before any text") from broken
    if not line:
        raise PoolFileError(f"{path}: the file holds only white space. {EXPECTED}")
    if line.startswith(b"PAR1"):
        raise PoolFileError(f"{path}: a Parquet file inside compression; unpack it, Parquet is compressed in itself")
    if line.count(b"\t") == 2 and (format == "flan_cot" or not line.startswith((b"{", b"["))):
        return "tsv"
    return "array" if line.startswith(b"[") else "lines"


def _first_line(path: Path) -> bytes:
    """The first line that isn't blank, or as much of it as one chunk holds."""
    for chunk in read_chunks(path):
        text = chunk.lstrip()
        if text:
            return text.split(b"\n", 1)[0].rstrip(b"\r")
    return b""


def _vote(path: Path, container: Container, limit: int) -> tuple[PoolFormat | None, str]:
    """The shape that most of the first records have, the earlier one if two are equal; else what was met instead."""
    votes: Counter[PoolFormat] = Counter()
    met = "there are no records"
    size = 0
    for row in read_rows(path, container, limit):
        shape = None if isinstance(row.value, Unusable) else shape_of(row.value)
        if shape is not None:
            votes[shape] += 1
        elif row.number == 1:
            met = f"the first: {row.value if isinstance(row.value, Unusable) else 'keys ' + keys_of(row.value)}"
        size += len(row.text or b"")
        if row.number >= PEEK_RECORDS or size >= PEEK_BYTES:
            break
    return (votes.most_common(1)[0][0] if votes else None), met
