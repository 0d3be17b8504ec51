"""Reading text, ids and sources out of a record's fields."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from adg_pipeline.formats import names
from adg_pipeline.formats.errors import Unusable, encodable


@dataclass
class Notes:
    """What is to be said of a file, counted by record. unused: keys with a value that nothing was made of. unwrapped:
    prompts that a template was taken off, by its name."""

    unused: Counter[str] = field(default_factory=Counter)
    unwrapped: Counter[str] = field(default_factory=Counter)


def by_count(counts: Counter[str]) -> dict[str, int]:
    """The most frequent first, those of one count by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def with_counts(counts: Mapping[str, int]) -> str:
    """Reasons with how often each was met: ``2 × empty output; 1 × not JSON``."""
    return "; ".join(f"{number:,} × {reason}" for reason, number in counts.items())


class Record:
    """The fields of a record that have a value (null and NaN are none), in whatever case their names are written.

    It knows which fields were asked for: `unused` names those with a value that nobody asked for, and those of its parts
    (a conversation's turns). place: what parts are named by. mapped: names that the user mapped a key to.
    """

    __slots__ = ("_fields", "_read", "_said", "exact", "mapped", "place", "unwrapped")

    def __init__(self, values: Mapping[str, Any], place: str = "", mapped: Set[str] = frozenset()) -> None:
        self._fields: dict[str, Any] = {}
        for spelled, value in values.items():
            if not _is_missing(value):
                name = names.plain(spelled)
                self._fields[spelled if name in self._fields else name] = value
        self.exact = values.keys()
        self._read: set[str] = set()
        self._said: list[str] = []
        self.place, self.mapped = place, mapped
        self.unwrapped: list[str] = []

    @property
    def names(self) -> Set[str]:
        return self._fields.keys()

    def peek(self, name: str) -> Any:
        """The value, without using it."""
        return self._fields.get(name)

    def get(self, name: str) -> Any:
        """The value; None if there is none. It counts as used."""
        self._read.add(name)
        return self._fields.get(name)

    def filled(self, family: Sequence[str]) -> list[str]:
        """Those of the names that have a value which isn't empty; the first alone if the user mapped a key to it."""
        if self._fields.keys().isdisjoint(family):
            return []
        found = [name for name in family if name in self._fields and not is_empty(self._fields[name])]
        return [name for name in found if name in self.mapped] or found if self.mapped else found

    def present(self, family: Sequence[str]) -> list[str]:
        """Those of the names that have a value."""
        return [name for name in family if name in self._fields]

    def say(self, key: str) -> None:
        """Name a part that nothing is made of."""
        self._said.append(key)

    def part(self, values: Mapping[str, Any], name: str) -> "Record":
        """A record within this one."""
        return Record(values, f"{self.place}{name}.")

    def close(self, part: "Record") -> None:
        """Take over what is to be said of a part."""
        self._said += part.unused()

    def unused(self) -> Iterator[str]:
        for name, value in self._fields.items():
            if name not in self._read and name not in names.BOOKKEEPING and not is_empty(value):
                spelled = next((spelled for spelled in self.exact if names.plain(spelled) == name), name)
                yield self.place + encodable(spelled[:60])
        yield from self._said


def as_record(values: Mapping[str, Any], columns: Mapping[str, str]) -> Record:
    """The record, with the keys that the user mapped under the names that they stand for.

    columns: name → key, as `raw_pool.columns` has it. A field that has such a name by itself keeps it only where nothing
    is mapped to it; it is then named as not used.
    """
    if not columns:
        return Record(values)
    keys = set(columns.values())
    rest = {f"{key} (not mapped)" if key in columns else key: value for key, value in values.items() if key not in keys}
    return Record({**{name: values.get(key) for name, key in columns.items()}, **rest}, mapped=columns.keys())


def as_text(value: Any, name: str) -> str:
    """Text of a field: a string as it is, a number, true and false as JSON writes them, null as "". Else Unusable."""
    if _is_missing(value):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return json.dumps(value)
    raise Unusable("not text", f"'{name}' is {describe(value)}")


def joined_text(value: Any, name: str) -> str:
    """The same of a field that may be a list of texts, or of parts that are text: with a blank line between them."""
    parts = value if isinstance(value, list) else [value]
    texts = [part["text"] if _is_text_part(part) else part for part in parts]
    return "\n\n".join(as_text(text, name) for text in texts)


def _is_text_part(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and isinstance(part.get("text"), str)
        and part.get("type") in (None, "text")
        and part.keys() <= {"type", "text", "cache_control"}
    )


def first_field(record: Record, family: Sequence[str]) -> str:
    """Text of the first of the fields that the record has. Unusable if it has none."""
    for name in family:
        if record.peek(name) is not None:
            return as_text(record.get(name), name)
    raise missing(record, family)


def missing(record: Record, family: Iterable[str]) -> Unusable:
    return Unusable("missing field", f"no {' or '.join(repr(name) for name in family)} among {keys_of(record.names)}")


def own_id(record: Record) -> str | None:
    """The record's own id, a non-blank string or an integer, under one of the names of `ID`, spelt just so."""
    for name in names.ID:
        if name not in record.exact:
            continue
        value = record.peek(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def own_source(record: Record) -> str | None:
    """The source that the record names under one of the names of `SOURCE`."""
    values = (record.peek(name) for name in names.SOURCE)
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def from_json(value: Any, name: str) -> Any:
    """The list or object that a text holds as JSON; anything else as it is. Unusable if it is text and no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Unusable("not JSON", f"'{name}' is text that is no JSON") from error


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def is_empty(value: Any) -> bool:
    """null, NaN, false, blank text, and what holds nothing else."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, dict):
        return all(map(is_empty, value.values()))
    if isinstance(value, list):
        return all(map(is_empty, value))
    return value is False or _is_missing(value)


def describe(value: Any) -> str:
    """What kind of JSON value this is, for messages."""
    if value is None:
        return "null"
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def keys_of(keys: Iterable[str]) -> str:
    """A record's keys for messages: ``[instruction, output]``."""
    listed = [str(name)[:40] for name in keys]
    return encodable(f"[{', '.join(listed[:12])}{', …' if len(listed) > 12 else ''}]")
