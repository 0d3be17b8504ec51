"""Finding out how a pool file is laid out, from its content: the name's suffix decides nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adg_pipeline.formats import names
from adg_pipeline.formats.comma_separated import header_cells
from adg_pipeline.formats.enclosed import is_line_of_turns, is_table, records_at
from adg_pipeline.formats.errors import PoolFileError, Unusable
from adg_pipeline.formats.fields import Record, as_record, keys_of
from adg_pipeline.formats.rows import Container, header_of, is_header, read_rows
from adg_pipeline.formats.shapes import expected_shapes, shape_of
from adg_pipeline.formats.shards import split_name
from adg_pipeline.formats.streams import Compression, StreamBroken, compression_of, first_bytes, read_chunks, read_head
from adg_pipeline.settings.sections import AskedTurn, IdScope, PoolFormat, RawPoolConfig

# Records that vote on the shape, and the bytes of them that are read for it.
PEEK_RECORDS = 100
PEEK_BYTES = 8 << 20

_FOREIGN = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "a 7z archive"}
EXPECTED = (
    "Expected a JSON array, JSON lines, CSV or TSV with a header, or Parquet (text plain, gzip or zstd; UTF-8, or UTF-16 "
    f"with byte-order mark) of one of these shapes: {expected_shapes()}"
)


@dataclass(frozen=True)
class Layout:
    """columns: what the user mapped keys to, name → key; empty for this pipeline's own shards, which have the names."""

    container: Container
    compression: Compression
    format: PoolFormat
    columns: Mapping[str, str] = field(default_factory=dict)
    ids: IdScope = "auto"
    asked_turn: AskedTurn = "last"


def max_record_bytes(config: RawPoolConfig) -> int:
    return int(config.max_record_mib * 2**20)


def detect_layout(path: Path, config: RawPoolConfig) -> Layout:
    """Compression and container from the first bytes; the shape from `config`, else from the first records' keys.

    Raises PoolFileError for a file that is empty, of a foreign kind, or without a known shape in its first records; and
    for one whose first records don't have a key that `config.columns` names.
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
    container = "parquet" if head.startswith(b"PAR1") else _text_container(path, config)
    votes = _vote(path, container, config)
    # Shards that `split` wrote are canonical whatever the files were that they came from.
    if votes.format == "canonical":
        return Layout(container, compression, "canonical", ids=config.ids, asked_turn=config.asked_turn)
    absent = [f"{key} (for {name})" for name, key in config.columns.items() if key not in votes.keys]
    if absent:
        raise PoolFileError(
            f"{path}: raw_pool.columns names {', '.join(absent)}, which none of the first {votes.records} records has; "
            f"their keys: {keys_of(votes.keys)}"
        )
    format = votes.format if config.format == "auto" else config.format
    if format is None:
        raise PoolFileError(
            f"{path}: read as {container}, no record has a known shape ({votes.met}). {_hint(votes.keys)}{EXPECTED}. Keys "
            "under other names can be mapped: raw_pool.columns"
        )
    return Layout(container, compression, format, config.columns, config.ids, config.asked_turn)


def _hint(keys: Iterable[str]) -> str:
    """What to do with records that are known, but are no examples by themselves."""
    known = {names.plain(key) for key in keys}
    if "parent_id" in known and not known.isdisjoint(names.ROLE) and not known.isdisjoint(names.CONTENT):
        role, text = (next(name for name in of if name in known) for of in (names.ROLE, names.CONTENT))
        return (
            f"Each record is one message of a tree (parent_id, {role}, {text}), not a conversation: take the file of whole "
            "trees, which OpenAssistant publishes beside it (…_trees.jsonl.gz), or join each path of messages to a record "
            "with a list `messages`. "
        )
    if known & {"text", "content"} and known <= {"text", "content", *names.BOOKKEEPING, "meta", "metadata"}:
        (text,) = sorted(known & {"text", "content"})[-1:]
        return (
            f"The column {text} is all there is, and nothing tells what of it is asked and what is answered: split it into "
            "two columns, and name them to raw_pool.columns, {instruction: …, output: …}, if they aren't called so. "
        )
    return ""


def _text_container(path: Path, config: RawPoolConfig) -> Container:
    """A line of three columns is TSV whatever it begins with if FLAN CoT is asked for; so is a header of known names."""
    try:
        head, complete = read_head(path)
    except StreamBroken as broken:
        head, complete = _before_break(path), False
        if not head.strip():
            raise PoolFileError(f"{path}: {broken}, before any text") from broken
    head = head.lstrip()
    if not head:
        raise PoolFileError(f"{path}: the file holds only white space. {EXPECTED}")
    line = head.split(b"\n", 1)[0].rstrip(b"\r")
    if line.startswith(b"PAR1"):
        raise PoolFileError(f"{path}: a Parquet file inside compression; unpack it, Parquet is compressed in itself")
    is_json = line.startswith((b"{", b"["))
    if b"\t" in line and not is_json and header_of(line, config.columns) is not None:
        return "tsv"
    if line.count(b"\t") == 2 and (config.format == "flan_cot" or not is_json):
        return "tsv"
    if not is_json and (
        is_header([name.strip() for name in header_cells(line)], config.columns) or _is_named_csv(path)
    ):
        return "csv"
    if line.startswith(b"["):
        return "lines" if is_line_of_turns(head) else "array"
    if records_at(head) is not None:
        return "enclosed"
    return "table" if line.startswith(b"{") and is_table(head, complete) else "lines"


def _is_named_csv(path: Path) -> bool:
    """A table whose columns nobody knows is to be refused as a table, not as broken JSON."""
    return split_name(path.name)[1].lower().startswith(".csv")


def _before_break(path: Path) -> bytes:
    head = b""
    try:
        for chunk in read_chunks(path):
            head += chunk
    except StreamBroken:
        pass
    return head


@dataclass(frozen=True)
class _Votes:
    """format: the shape that most of the first records have, the earlier one if two are equal. met: what was met if none
    has any. keys: of those records, as the file spells them."""

    format: PoolFormat | None
    met: str
    records: int
    keys: Mapping[str, None]


def _vote(path: Path, container: Container, config: RawPoolConfig) -> _Votes:
    votes: Counter[PoolFormat] = Counter()
    keys: dict[str, None] = {}
    met = "there are no records"
    size = number = 0
    for row in read_rows(path, container, max_record_bytes(config), columns=config.columns):
        number, value = row.number, row.value()
        shape = None
        if not isinstance(value, Unusable):
            keys.update(dict.fromkeys(value))
            shape = shape_of(Record(value))
            if shape != "canonical" and config.columns:
                shape = shape_of(as_record(value, config.columns))
        if shape is not None:
            votes[shape] += 1
        elif number == 1:
            met = f"the first: {value if isinstance(value, Unusable) else 'keys ' + keys_of(value)}"
        size += len(row.text or b"")
        if number >= PEEK_RECORDS or size >= PEEK_BYTES:
            break
    return _Votes(votes.most_common(1)[0][0] if votes else None, met, number, keys)
