"""OpenAI's fine-tuning file for chat models: one conversation a line, with nothing but what its schema names.

Ids and sources go to a file beside it, a line for each of its lines. A call needs an id and a tool's answer names it; where
the pool has none, calls are numbered, and answered in their order.
https://platform.openai.com/docs/api-reference/fine-tuning/chat-input
"""

import json
from collections.abc import Iterator
from typing import Any

from adg_pipeline.formats.exports.base import Format, NotHeld, Row, Turn, turns_of
from adg_pipeline.formats.exports.messages import tools


def record(row: Row) -> dict[str, Any]:
    return {"messages": list(_messages(turns_of(row))), **tools(row)}


def _messages(turns: list[Turn]) -> Iterator[dict[str, Any]]:
    waiting: list[str] = []  # ids of calls that no tool has answered yet
    number = 0
    for turn in turns:
        message: dict[str, Any] = {"role": turn["role"], "content": turn["content"]}
        if turn.get("reasoning"):
            raise NotHeld("reasoning apart from the answer")
        if turn["role"] == "tool":
            named = turn.get("tool_call_id") or (waiting[0] if waiting else "")
            if named not in waiting:
                raise NotHeld("a tool's answer to no call")
            waiting.remove(named)
            message["tool_call_id"] = named
        elif waiting:
            raise NotHeld("a call without its tool's answer")
        if turn.get("tool_calls"):
            calls = []
            for call in json.loads(turn["tool_calls"]):
                number += 1
                name = call.get("id") or f"call_{number}"
                waiting.append(name)
                arguments = json.dumps(call["function"]["arguments"], ensure_ascii=False)
                calls.append(
                    {
                        "id": name,
                        "type": "function",
                        "function": {"name": call["function"]["name"], "arguments": arguments},
                    }
                )
            message["tool_calls"] = calls
        if turn["role"] == "assistant" and turn.get("learn") is False:
            message["weight"] = 0
        yield message


def _apart(row: Row) -> dict[str, Any]:
    return {"id": row["example_id"], "source": row["source"]}


FORMAT = Format(".jsonl", "OpenAI's fine-tuning", record, apart=_apart)
