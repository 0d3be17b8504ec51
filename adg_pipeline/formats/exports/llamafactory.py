"""LLaMA-Factory: ShareGPT conversations, and their entry in its ``dataset_info.json``.

It skips conversations that don't alternate, so turns of one side in a row become one, and one that begins with the assistant
gets an empty user turn. Reasoning stands before its answer in ``<think>`` tags.
https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md
"""

import json
from pathlib import Path
from typing import Any

from adg_pipeline.formats.exports.base import Format, NotHeld, Row, Turn, alternating, exists, turns_of

INFO = "dataset_info.json"
_COLUMNS = {"messages": "conversations", "system": "system", "tools": "tools"}


def record(row: Row) -> dict[str, Any]:
    system, sides = alternating(turns_of(row))
    tools = [spec.get("function", spec) for spec in json.loads(row.get("tools") or "[]")]
    return {
        "id": row["example_id"],
        "source": row["source"],
        "conversations": [_turn(turn) for turn in sides],
        "system": system,
        "tools": json.dumps(tools, ensure_ascii=False) if tools else "",
    }


def _turn(turn: Turn) -> dict[str, str]:
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


def _entry(folder: Path, name: str, file: str, replace: bool) -> dict[str, str]:
    """``dataset_info.json`` with the data set added; other entries stay."""
    info = folder / INFO
    try:
        entries = json.loads(info.read_text("utf-8")) if info.exists() else {}
    except ValueError as error:
        raise ValueError(f"{info}: not valid JSON ({error}); mend it or export elsewhere") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{info}: not an object of data sets by name; mend it or export elsewhere")
    entry = {"file_name": file, "formatting": "sharegpt", "columns": _COLUMNS}
    if entries.get(name, entry) != entry and not replace:
        raise exists(f"{info}, entry {name}")
    return {INFO: json.dumps({**entries, name: entry}, ensure_ascii=False, indent=2) + "\n"}


FORMAT = Format(".json", "LLaMA-Factory, with its dataset_info.json", record, lines=False, beside=_entry)
