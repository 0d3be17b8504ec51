"""A subset in the forms that trainers read. Everything is streamed, and each file appears whole or not at all."""

import filecmp
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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

_COLUMNS = ["example_id", "source", "instruction", "input", "output", "messages", "tools"]
Turn = Mapping[str, Any]


class ExportExists(PipelineError):
    """There is another export where this one would go."""


class NothingHeld(PipelineError, ValueError):
    """The format has a place for no example of the subset."""


class NotHeld(ValueError):
    """The format has no place for a part of this example. The message names the part."""


def export_subset(
    subset: Path,
    format: ExportFormat,
    out_dir: Path,
    name: str = DATASET_NAME,
    *,
    replace: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write the subset (Parquet with the columns of `RAW_POOL_SCHEMA`, and maybe more) to `out_dir`; give the files.

    - ``alpaca``: ``<name>.json``, an array of id, instruction, input, output, system and history. A conversation's
      earlier turns are pairs in history.
    - ``messages``: ``<name>.jsonl`` of id, source, OpenAI messages and tools. An input follows its instruction on a new
      line; reasoning is `reasoning_content`; a turn that must not be learnt has weight 0.
    - ``parquet``: ``<name>.parquet``, the subset as it is, provenance included.
    - ``llamafactory``: ``<name>.json`` of ShareGPT conversations and its entry in ``dataset_info.json``, where other
      entries stay. LLaMA-Factory skips conversations that don't alternate, so turns of one side in a row become one,
      and one that begins with the assistant gets an empty user turn. Reasoning stands before its answer in
      ``<think>`` tags.

    An example that the format has no place for is left out. replace: whether another export of that name may be
    overwritten; the same one again is no other. say: is told how many examples are left out, and why.

    Raises ExportExists where another export would be overwritten, NothingHeld where the format can hold no example, and
    ValueError for another format, or a ``dataset_info.json`` that holds something else.
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
    record = {"messages": _as_messages, "alpaca": _as_alpaca, "llamafactory": _as_sharegpt}[format]
    write = _write_lines if format == "messages" else _write_array
    left_out: Counter[str] = Counter()

    def fill(temporary: Path) -> None:
        if not write(temporary, _records(subset, record, left_out)) and left_out:
            raise NothingHeld(f"{format} can hold no example of {subset}: {_counted(left_out)}. Use --format messages")

    _put(target, fill, replace)
    if left_out and say is not None:
        say(f"{left_out.total():,} examples left out, which {format} can't hold: {_counted(left_out)}")
    if format != "llamafactory":
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


def _counted(left_out: Counter[str]) -> str:
    return "; ".join(f"{number:,} × {reason}" for reason, number in sorted(left_out.items()))


def _records(
    subset: Path, record: Callable[[Mapping[str, Any]], dict[str, Any]], left_out: Counter[str]
) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(subset) as file:
        # A subset that was made before there were tools has no such column.
        columns = [name for name in _COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(1024, columns=columns):
            for row in batch.to_pylist():
                try:
                    yield record(row)
                except NotHeld as missing:
                    left_out[str(missing)] += 1


def _write_lines(path: Path, records: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            count += 1
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return count


def _write_array(path: Path, records: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for count, record in enumerate(records, start=1):
            file.write((",\n" if count > 1 else "\n") + json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")
    return count


def _as_messages(row: Mapping[str, Any]) -> dict[str, Any]:
    record = {"id": row["example_id"], "source": row["source"], "messages": [_openai(turn) for turn in _turns(row)]}
    return {**record, "tools": json.loads(row["tools"])} if row.get("tools") else record


def _openai(turn: Turn) -> dict[str, Any]:
    message = {"role": turn["role"], "content": turn["content"]}
    if turn.get("reasoning"):
        message["reasoning_content"] = turn["reasoning"]
    if turn.get("tool_calls"):
        message["tool_calls"] = json.loads(turn["tool_calls"])
    message |= {
        key: turn[ours] for key, ours in (("name", "tool_name"), ("tool_call_id", "tool_call_id")) if turn.get(ours)
    }
    return {**message, "weight": 0} if turn.get("learn") is False else message


def _as_alpaca(row: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"instruction": row["instruction"], "input": row["input"], "output": row["output"]}
    turns = row["messages"] or ()
    if row.get("tools") or any(turn["role"] == "tool" or turn.get("tool_calls") for turn in turns):
        raise NotHeld("tools")
    if any(turn.get("reasoning") for turn in turns):
        raise NotHeld("reasoning apart from the answer")
    system, history = "", []
    if turns:
        system, sides = _alternating(turns)
        pairs = zip(sides[::2], sides[1::2], strict=True)
        *history, last = [[question["content"], answer["content"]] for question, answer in pairs]
        asked = {"instruction": last[0], "input": "", "output": last[1]}
    return {"id": row["example_id"], **asked, "system": system, "history": history}


def _as_sharegpt(row: Mapping[str, Any]) -> dict[str, Any]:
    system, sides = _alternating(_turns(row))
    tools = [spec.get("function", spec) for spec in json.loads(row.get("tools") or "[]")]
    return {
        "id": row["example_id"],
        "conversations": [_sharegpt(turn) for turn in sides],
        "system": system,
        "tools": json.dumps(tools, ensure_ascii=False) if tools else "",
    }


def _sharegpt(turn: Turn) -> dict[str, str]:
    text = turn["content"]
    if turn.get("tool_calls"):
        if text.strip():
            raise NotHeld("text beside a tool call")
        calls = [call["function"] for call in json.loads(turn["tool_calls"])]
        text = json.dumps(calls if len(calls) > 1 else calls[0], ensure_ascii=False)
    if turn.get("reasoning"):
        text = f"<think>\n{turn['reasoning']}\n</think>\n\n{text}"
    tags = {"user": "human", "assistant": "function_call" if turn.get("tool_calls") else "gpt", "tool": "observation"}
    return {"from": tags[turn["role"]], "value": text}


def _turns(row: Mapping[str, Any]) -> list[Turn]:
    if row["messages"]:
        return list(row["messages"])
    return [
        {"role": "user", "content": user_turn(row["instruction"], row["input"])},
        {"role": "assistant", "content": row["output"]},
    ]


def _alternating(turns: Sequence[Turn]) -> tuple[str, list[Turn]]:
    """The system text, and turns in which the assistant's are every second one, the last included."""
    if any(turn.get("learn") is False for turn in turns):
        raise NotHeld("turns that must not be learnt")
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    spoken = [turn for turn in turns if turn["role"] != "system"]
    sides: list[Turn] = []
    for answered, group in groupby(spoken, key=lambda turn: turn["role"] == "assistant"):
        joined = list(group)
        if answered and not sides:
            sides.append({"role": "user", "content": ""})
        sides.append(joined[0] if len(joined) == 1 else _joined(joined))
    return system, sides


def _joined(turns: Sequence[Turn]) -> Turn:
    """Turns of one side as one: texts of one role, or what several tools gave back."""
    if len({turn["role"] for turn in turns}) > 1 or any(
        turn.get("tool_calls") or turn.get("reasoning") for turn in turns
    ):
        raise NotHeld("turns of one side that don't join")
    return {"role": turns[0]["role"], "content": "\n\n".join(turn["content"] for turn in turns)}


def _entries(info: Path, name: str, file_name: str, replace: bool) -> dict[str, Any]:
    """LLaMA-Factory's ``dataset_info.json`` with the data set added."""
    try:
        entries = json.loads(info.read_text("utf-8")) if info.exists() else {}
    except ValueError as error:
        raise ValueError(f"{info}: not valid JSON ({error}); mend it or export elsewhere") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{info}: not an object of data sets by name; mend it or export elsewhere")
    columns = {"messages": "conversations", "system": "system", "tools": "tools"}
    entry = {"file_name": file_name, "formatting": "sharegpt", "columns": columns}
    if entries.get(name, entry) != entry and not replace:
        raise _exists(f"{info}, entry {name}")
    return {**entries, name: entry}


def _copy(original: Path, temporary: Path) -> None:
    shutil.copyfile(original, temporary)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
