"""JSON files whose records don't stand in an array of their own: under a key, by column, by index, or one alone.

The array under a key is streamed as any other. Columns (pandas' `to_json` and `to_dict`) and indexes are read whole, since
a record's parts lie all over the file.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from adg_pipeline.formats import names
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, describe
from adg_pipeline.formats.shapes import shape_of

# Keys that files have their records under. Others name a part of one record: its messages, instances, tools.
RECORD_KEYS = frozenset(
    {
        "data", "examples", "train", "training", "rows", "records", "samples", "items", "dataset", "instances", "entries",
        "results",
    }
)  # fmt: skip
LARGEST_TABLE = 256 << 20

_decode = json.JSONDecoder().raw_decode
_SPACE = re.compile(r"\s*")
_COLUMN_OF_A_TABLE = re.compile(
    r'\s*\{\s*"(columns"\s*:\s*\[|[^"]+"\s*:\s*\{\s*"0"\s*:|0"\s*:\s*\{|[^"]+"\s*:\s*\[\s*["\d])'
)


def records_at(head: bytes) -> tuple[int, list[str]] | None:
    """Where the array of records begins in a JSON object, and the keys before it. None if it has none under a known key.

    head: the first bytes of the file.
    """
    text = head.decode("utf-8", "ignore")
    at = _past(text, 0)
    before: dict[str, Any] = {}
    if text[at : at + 1] != "{" or _is_a_record(text, at):
        return None
    try:
        while text[at : at + 1] in ("{", ","):
            key, at = _decode(text, _past(text, at + 1))
            at = _past(text, _past(text, at) + 1)
            if (
                key in RECORD_KEYS
                and "columns" not in before
                and _is_list_of_records(text, at)
                and shape_of(Record(before)) is None
            ):
                return len(text[:at].encode()), list(before)
            before[key], at = _decode(text, at)
            at = _past(text, at)
    except (ValueError, RecursionError):
        pass
    return None


def _is_a_record(text: str, at: int) -> bool:
    """Whether the object is one of several, or has a record's shape, whatever stands under the keys in question."""
    try:
        value, end = _decode(text, at)
    except (ValueError, RecursionError):
        return False
    rest = {name: part for name, part in value.items() if name not in RECORD_KEYS - {"instances"}}
    return bool(text[end:].strip()) or shape_of(Record(rest)) is not None


def _is_list_of_records(text: str, at: int) -> bool:
    first = _past(text, at + 1)
    if text[at : at + 1] != "[" or text[first : first + 1] not in ("{", "["):
        return False
    try:
        value = _decode(text, first)[0]
    except ValueError:
        return True  # a record that goes on past the head
    return is_turns(value) if isinstance(value, list) else not is_turn(value)


def is_turns(value: Any) -> bool:
    """Whether it is a list of a conversation's turns. Messages that name another as their parent are those of trees."""
    return isinstance(value, list) and bool(value) and all(is_turn(one) and "parent_id" not in one for one in value)


def is_turn(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return not value.keys().isdisjoint(names.ROLE) and not value.keys().isdisjoint(names.CONTENT)


def is_line_of_turns(head: bytes) -> bool:
    """Whether each line of the file is a list of turns, and not all of the file one list of records."""
    text = head.decode("utf-8", "ignore")
    try:
        value, end = _decode(text, _past(text, 0))
    except (ValueError, RecursionError):
        return False
    rest = text[end:].strip()
    return is_turns(value) and (not rest or rest.startswith("["))


def _past(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def keys_after(rest: bytes) -> list[str]:
    """The keys of the object behind its array of records. Unusable where more records stand under one of them.

    rest: what follows the array.
    """
    text = rest.decode("utf-8", "replace").lstrip()
    try:
        members = json.loads('{"": 0' + text)
    except (ValueError, RecursionError) as error:
        raise Unusable(
            "broken file", "what follows the records is not the end of a JSON object; it was not read"
        ) from error
    for key, value in members.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            raise Unusable(
                "records under a second key", f"those under '{key[:40]}' were not read: put them in a file of their own"
            )
    return [key for key in members if key]


def is_table(head: bytes, complete: bool) -> bool:
    """Whether the file is one JSON object that holds records by column or by index, or is a record over several lines.

    head: the first bytes of the file; complete: whether they are all of it.
    """
    text = head.decode("utf-8", "ignore")
    try:
        value, end = _decode(text, _past(text, 0))
    except (ValueError, RecursionError):
        return not complete and _COLUMN_OF_A_TABLE.match(text) is not None
    if not isinstance(value, dict) or text[end:].strip():
        return False
    return ("\n" in text[:end].strip() and shape_of(Record(value)) is not None) or _rows(value) is not None


def table_rows(chunks: Iterable[bytes]) -> Iterator[Any]:
    """The records of such a file. Unusable if it is too large to be read whole, or isn't what it seemed."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > LARGEST_TABLE:
            raise Unusable(
                "too large", f"records by column are read whole, up to {LARGEST_TABLE >> 20} MiB: write JSON lines"
            )
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unusable("not JSON", str(error)[:200]) from error
    rows = _rows(value) if isinstance(value, dict) else None
    if rows is None and not (isinstance(value, dict) and shape_of(Record(value))):
        raise Unusable("not an object", f"the file is {describe(value)} that holds no columns of records")
    yield from [value] if rows is None else rows


def _rows(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    columns, data = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(data, list):
        return [dict(zip(columns, row, strict=False)) for row in data if isinstance(row, list)]
    if not value:
        return None
    if all(isinstance(column, dict) for column in value.values()):
        if shape_of(Record(dict.fromkeys(value, ""))) is not None and _indexed(value):
            keys = dict.fromkeys(chain.from_iterable(value.values()))
            return [{name: column.get(key) for name, column in value.items()} for key in keys]
        first = next(iter(value.values()))
        return list(value.values()) if shape_of(Record(first)) is not None else None
    lists = list(value.values())
    scalars = all(
        isinstance(column, list) and not any(isinstance(cell, list | dict) for cell in column) for column in lists
    )
    if (
        scalars
        and len(lists) > 1
        and len({len(column) for column in lists}) == 1
        and shape_of(Record(dict.fromkeys(value, ""))) is not None
    ):
        return [dict(zip(value, cells, strict=True)) for cells in zip(*lists, strict=True)]
    return None


def _indexed(value: dict[str, dict[str, Any]]) -> bool:
    """Whether the columns have their cells under the same keys; a message and its reply have not."""
    first, *others = (column.keys() for column in value.values())
    return all(keys == first for keys in others) and next(iter(first), "role") not in (*names.ROLE, *names.CONTENT)
