"""Reading text, ids and sources out of a record's fields."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from adg_pipeline.formats.errors import Unusable, encodable

ID_FIELDS = ("example_id", "id", "uid", "uuid")
SOURCE_FIELDS = ("source", "dataset")


def as_text(value: Any, name: str) -> str:
    """Text of a field: a string as it is, a number as JSON writes it, null as "". Anything else is Unusable."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return json.dumps(value)
    raise Unusable("not text", f"'{name}' is {describe(value)}")


def first_field(record: Mapping[str, Any], names: Sequence[str]) -> str:
    """Text of the first of the fields that the record has. Unusable if it has none."""
    for name in names:
        if record.get(name) is not None:
            return as_text(record[name], name)
    raise Unusable("missing field", f"no {' or '.join(repr(name) for name in names)} among {keys_of(record)}")


def own_id(record: Mapping[str, Any]) -> str | None:
    """The record's own id, a non-blank string or an integer, under one of `ID_FIELDS`."""
    for name in ID_FIELDS:
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def own_source(record: Mapping[str, Any]) -> str | None:
    """The source that the record names under one of `SOURCE_FIELDS`."""
    values = (record.get(name) for name in SOURCE_FIELDS)
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def describe(value: Any) -> str:
    """What kind of JSON value this is, for messages."""
    if value is None:
        return "null"
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def keys_of(record: Mapping[str, Any]) -> str:
    """The record's keys for messages: ``[instruction, output]``."""
    names = [str(name)[:40] for name in record]
    return encodable(f"[{', '.join(names[:12])}{', …' if len(names) > 12 else ''}]")
