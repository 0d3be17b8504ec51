"""OpenAI's messages, with what chat templates take beside them: the form that holds every example whole."""

import json
from collections.abc import Sequence
from typing import Any

from adg_pipeline.formats.exports.base import Format, Row, Turn, turns_of


def record(row: Row) -> dict[str, Any]:
    return {"id": row["example_id"], "source": row["source"], "messages": messages(turns_of(row)), **tools(row)}


def messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """An input follows its instruction on a new line; reasoning is `reasoning_content`; a turn that must not be learnt has
    weight 0."""
    return [_message(turn) for turn in turns]


def tools(row: Row) -> dict[str, Any]:
    return {"tools": json.loads(row["tools"])} if row.get("tools") else {}


def _message(turn: Turn) -> dict[str, Any]:
    message = {"role": turn["role"], "content": turn["content"]}
    if turn.get("reasoning"):
        message["reasoning_content"] = turn["reasoning"]
    if turn.get("tool_calls"):
        message["tool_calls"] = json.loads(turn["tool_calls"])
    message |= {
        key: turn[ours] for key, ours in (("name", "tool_name"), ("tool_call_id", "tool_call_id")) if turn.get(ours)
    }
    return {**message, "weight": 0} if turn.get("learn") is False else message


FORMAT = Format(".jsonl", "trainers that apply a chat template", record)
