"""Alpaca: instruction, input and output; earlier turns are pairs in `history`."""

from typing import Any

from adg_pipeline.formats.exports.base import Format, NotHeld, Row, alternating


def record(row: Row) -> dict[str, Any]:
    asked = {"instruction": row["instruction"], "input": row["input"], "output": row["output"]}
    turns = row["messages"] or ()
    if row.get("tools") or any(turn["role"] == "tool" or turn.get("tool_calls") for turn in turns):
        raise NotHeld("tools")
    if any(turn.get("reasoning") for turn in turns):
        raise NotHeld("reasoning apart from the answer")
    system, history = "", []
    if turns:
        system, sides = alternating(turns)
        pairs = zip(sides[::2], sides[1::2], strict=True)
        *history, last = [[question["content"], answer["content"]] for question, answer in pairs]
        asked = {"instruction": last[0], "input": "", "output": last[1]}
    return {"id": row["example_id"], "source": row["source"], **asked, "system": system, "history": history}


FORMAT = Format(".json", "trainers of Alpaca's array", record, lines=False)
