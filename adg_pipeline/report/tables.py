"""Numbers and sample tables as people read them."""

import math
from typing import Any

import dagster as dg
import polars as pl

SAMPLE_ROWS, SAMPLE_CHARS, SAMPLE_ANSWERS = 5, 160, 3


def number(value: Any) -> Any:
    """A float in four digits (0.7285 of 0.72849999), a whole number from 1,000 on. All else stays as it is."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")


def sample_table(frame: pl.DataFrame) -> dg.MetadataValue:
    """The first rows. Columns without any content are left out; of lists, the first items have columns of their own."""
    rows = [_flat(row) for row in frame.head(SAMPLE_ROWS).to_dicts()]
    names = [
        name for name in dict.fromkeys(key for row in rows for key in row) if any(_filled(row, name) for row in rows)
    ]
    if not names:
        return dg.MetadataValue.text("no rows")
    return dg.MetadataValue.table([dg.TableRecord({name: _cell(row.get(name)) for name in names}) for row in rows])


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list):
            singular = name.removesuffix("s")
            flat |= {f"{singular} {place}": item for place, item in enumerate(value[:SAMPLE_ANSWERS], start=1)}
        else:
            flat[name] = value
    return flat


def _filled(row: dict[str, Any], name: str) -> bool:
    return row.get(name) not in (None, "")


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, int | float | bool):
        shown: int | float | bool = number(value)
        return shown
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= SAMPLE_CHARS else text[: SAMPLE_CHARS - 1] + "…"
