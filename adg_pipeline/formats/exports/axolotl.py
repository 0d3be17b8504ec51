"""Axolotl: messages in which each turn says whether it is learnt, and the part of a config that reads them.

A call's arguments are JSON text, which Axolotl reads: as objects, those of different tools would get each other's keys.
https://docs.axolotl.ai/docs/dataset-formats/conversation.html
"""

import json
from pathlib import Path
from typing import Any

from adg_pipeline.formats.exports.base import Format, Row, Turn, turns_of
from adg_pipeline.formats.exports.messages import messages, tools

SNIPPET = """# Goes into the config that `axolotl train` is given.
datasets:
  - path: {path}
    ds_type: json
    type: chat_template # the tokenizer's own; `chat_template: chatml` at the top of the config sets another
    field_messages: messages
    field_tools: tools
    message_property_mappings:
      role: role
      content: content
    roles_to_train: [] # each turn says whether it is learnt
    message_field_training: train
    train_on_eos: turn # and what is learnt learns to end
"""


def record(row: Row) -> dict[str, Any]:
    turns = turns_of(row)
    said = [_message(turn, message) for turn, message in zip(turns, messages(turns), strict=True)]
    return {"id": row["example_id"], "source": row["source"], "messages": said, **tools(row)}


def _message(turn: Turn, message: dict[str, Any]) -> dict[str, Any]:
    message.pop("weight", None)
    for call in message.get("tool_calls", ()):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return {**message, "train": turn["role"] == "assistant" and turn.get("learn") is not False}


def _snippet(folder: Path, name: str, file: str, replace: bool) -> dict[str, str]:
    path = json.dumps(str(folder / file), ensure_ascii=False)  # JSON is YAML
    return {f"{name}.axolotl.yaml": SNIPPET.format(path=path)}


FORMAT = Format(".jsonl", "Axolotl, with the `datasets:` of a config", record, beside=_snippet)
