"""A subset in the forms that trainers read. Everything is streamed, and each file appears whole or not at all."""

import filecmp
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow.parquet as pq

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.errors import PipelineError
from adg_pipeline.host.files import write_atomically

ExportFormat = Literal["alpaca", "messages", "parquet", "llamafactory"]
DATASET_NAME = "adg_subset"
INFO = "dataset_info.json"

_COLUMNS = ["example_id", "source", "instruction", "input", "output", "messages"]
Turn = Mapping[str, str]


class ExportExists(PipelineError):
    """There is another export where this one would go."""


def export_subset(
    subset: Path, format: ExportFormat, out_dir: Path, name: str = DATASET_NAME, *, replace: bool = False
) -> list[Path]:
    """Write the subset (Parquet with the columns of `RAW_POOL_SCHEMA`, and maybe more) to `out_dir`; give the files.

    - ``alpaca``: ``<name>.json``, an array of id, instruction, input, output, system and history. A conversation's
      earlier turns are pairs in history; what a tool returned stands on the user's side of its pair.
    - ``messages``: ``<name>.jsonl`` of id, source and OpenAI messages. An input follows its instruction on a new line.
    - ``parquet``: ``<name>.parquet``, the subset as it is, provenance included.
    - ``llamafactory``: ``<name>.json`` of ShareGPT conversations and its entry in ``dataset_info.json``, where other
      entries stay. LLaMA-Factory skips conversations that don't alternate, so turns of one side in a row become one,
      and one that begins with the assistant gets an empty user turn.

    replace: whether another export of that name may be overwritten. The same one again is no other.

    Raises ExportExists where another export would be overwritten, and ValueError for another format, or a
    ``dataset_info.json`` that holds something else.
    """
    if format not in get_args(ExportFormat):
        raise ValueError(f"{format!r} is no export format; choose one of {', '.join(get_args(ExportFormat))}")
    suffix = {"messages": ".jsonl", "parquet": ".parquet"}.get(format, ".json")
    target = out_dir / f"{name}{suffix}"
    if format == "llamafactory":
        entries = _entries(out_dir / INFO, name, target.name, replace)
    if format == "parquet":
        _put(target, lambda temporary: _copy(subset, temporary), replace)
        return [target]
    if format == "messages":
        _put(target, lambda temporary: _write_lines(temporary, _records(subset, _as_messages)), replace)
        return [target]
    record = _as_alpaca if format == "alpaca" else _as_sharegpt
    _put(target, lambda temporary: _write_array(temporary, _records(subset, record)), replace)
    if format == "alpaca":
        return [target]
    text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
    write_atomically(info := out_dir / INFO, lambda temporary: _write_text(temporary, text))
    return [target, info]


def _put(target: Path, write: Callable[[Path], None], replace: bool) -> None:
    """Put what `write` makes in its place, unless something else is there."""

    def checked(temporary: Path) -> None:
        write(temporary)
        if target.exists() and not replace and not filecmp.cmp(temporary, target, shallow=False):
            raise _exists(target)

    write_atomically(target, checked)


def _exists(place: object) -> ExportExists:
    return ExportExists(
        f"{place}: there is another export, of another subset, format or version. Export to another folder, or with "
        "--replace over it"
    )


def _records(subset: Path, record: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(subset) as file:
        for batch in file.iter_batches(1024, columns=_COLUMNS):
            for row in batch.to_pylist():
                yield record(row)


def _write_lines(path: Path, records: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _write_array(path: Path, records: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for place, record in enumerate(records):
            file.write((",\n" if place else "\n") + json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")


def _as_messages(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row["example_id"], "source": row["source"], "messages": _turns(row)}


def _as_alpaca(row: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"instruction": row["instruction"], "input": row["input"], "output": row["output"]}
    system, history = "", []
    if row["messages"]:
        system, sides = _alternating(row["messages"])
        pairs = zip(sides[::2], sides[1::2], strict=True)
        *history, last = [[question["content"], answer["content"]] for question, answer in pairs]
        asked = {"instruction": last[0], "input": "", "output": last[1]}
    return {"id": row["example_id"], **asked, "system": system, "history": history}


def _as_sharegpt(row: Mapping[str, Any]) -> dict[str, Any]:
    system, sides = _alternating(_turns(row))
    tags = {"user": "human", "assistant": "gpt", "tool": "observation"}
    conversations = [{"from": tags[turn["role"]], "value": turn["content"]} for turn in sides]
    return {"id": row["example_id"], "conversations": conversations, "system": system}


def _turns(row: Mapping[str, Any]) -> list[Turn]:
    if row["messages"]:
        return list(row["messages"])
    return [
        {"role": "user", "content": user_turn(row["instruction"], row["input"])},
        {"role": "assistant", "content": row["output"]},
    ]


def _alternating(turns: list[Turn]) -> tuple[str, list[Turn]]:
    """The system text, and turns in which the assistant's are every second one, the last included."""
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    spoken = [turn for turn in turns if turn["role"] != "system"]
    sides: list[Turn] = []
    for answered, group in groupby(spoken, key=lambda turn: turn["role"] == "assistant"):
        joined = list(group)
        role = "assistant" if answered else "tool" if all(turn["role"] == "tool" for turn in joined) else "user"
        if answered and not sides:
            sides.append({"role": "user", "content": ""})
        sides.append({"role": role, "content": "\n\n".join(turn["content"] for turn in joined)})
    return system, sides


def _entries(info: Path, name: str, file_name: str, replace: bool) -> dict[str, Any]:
    """LLaMA-Factory's ``dataset_info.json`` with the data set added."""
    try:
        entries = json.loads(info.read_text("utf-8")) if info.exists() else {}
    except ValueError as error:
        raise ValueError(f"{info}: not valid JSON ({error}); mend it or export elsewhere") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{info}: not an object of data sets by name; mend it or export elsewhere")
    columns = {"messages": "conversations", "system": "system"}
    entry = {"file_name": file_name, "formatting": "sharegpt", "columns": columns}
    if entries.get(name, entry) != entry and not replace:
        raise _exists(f"{info}, entry {name}")
    return {**entries, name: entry}


def _copy(original: Path, temporary: Path) -> None:
    shutil.copyfile(original, temporary)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
