"""A subset in the forms that trainers read. Everything is streamed, and each file appears whole or not at all.

A format is a short module of its own; `FORMATS` is the one list of them.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from adg_pipeline.formats.exports import alpaca, axolotl, llamafactory, messages, openai, tables, trl
from adg_pipeline.formats.exports.base import ExportExists, Format, NotHeld, NothingHeld
from adg_pipeline.formats.exports.writing import (
    put,
    put_folder,
    put_text,
    records,
    write_array,
    write_lines,
)
from adg_pipeline.formats.fields import with_counts

__all__ = [
    "DATASET_NAME",
    "FORMATS",
    "ExportExists",
    "Format",
    "NotHeld",
    "NothingHeld",
    "export_subset",
]

FORMATS: Mapping[str, Format] = {
    "alpaca": alpaca.FORMAT,
    "messages": messages.FORMAT,
    "parquet": tables.PARQUET,
    "llamafactory": llamafactory.FORMAT,
    "axolotl": axolotl.FORMAT,
    "trl": trl.PROMPT_COMPLETION,
    "trl-messages": trl.CONVERSATION,
    "openai": openai.FORMAT,
    "datasets": tables.DATASETS,
}
DATASET_NAME = "adg_subset"


def export_subset(
    subset: Path,
    format: str,
    out_dir: Path,
    name: str = DATASET_NAME,
    *,
    replace: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write the subset (Parquet with the columns of `RAW_POOL_SCHEMA`, and maybe more) to `out_dir`; give what was written.

    The formats are those of `FORMATS`; docs/exports.md has their fields. An example that a format has no place for is left
    out. replace: whether another export of that name may be overwritten; the same one again is no other. say: is told how
    many examples are left out, and why.

    Raises ExportExists where another export would be overwritten, NothingHeld where the format can hold no example, and
    ValueError for another format, or a ``dataset_info.json`` that holds something else.
    """
    if format not in FORMATS:
        raise ValueError(f"{format!r} is no export format; choose one of {', '.join(FORMATS)}")
    form = FORMATS[format]
    target = out_dir / f"{name}{form.suffix}"
    if format == "parquet":
        put(target, lambda temporary: tables.write_parquet(subset, temporary), replace)
        return [target]
    if format == "datasets":
        put_folder(target, lambda temporary: tables.write_dataset(subset, temporary), replace)
        return [target]
    beside = form.beside(out_dir, name, target.name, replace) if form.beside else {}
    left_out = _put_records(subset, format, form, target, replace)
    if left_out and say is not None:
        say(f"{left_out.total():,} examples left out, which {format} can't hold: {_counted(left_out)}")
    written = [target]
    if form.apart:
        apart = form.apart
        held = (apart(row) for row, _ in records(subset, form.record, Counter()))  # type: ignore[arg-type]
        put(path := out_dir / f"{name}.ids.jsonl", lambda temporary: write_lines(temporary, held), replace)
        written.append(path)
    for file, text in beside.items():
        # What stands in a file that data sets share was looked at before.
        put_text(path := out_dir / file, text, replace or file == llamafactory.INFO)
        written.append(path)
    return written


def _put_records(subset: Path, name: str, form: Format, target: Path, replace: bool) -> Counter[str]:
    assert form.record is not None
    record, write = form.record, write_lines if form.lines else write_array
    left_out: Counter[str] = Counter()

    def fill(temporary: Path) -> None:
        if not write(temporary, (made for _, made in records(subset, record, left_out))) and left_out:
            raise NothingHeld(f"{name} can hold no example of {subset}: {_counted(left_out)}. Use --format messages")

    put(target, fill, replace)
    return left_out


def _counted(left_out: Counter[str]) -> str:
    return with_counts(dict(sorted(left_out.items())))
