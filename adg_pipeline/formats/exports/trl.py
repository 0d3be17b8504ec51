"""TRL's SFTTrainer: a prompt and its completion, of which the completion alone is learnt, or whole conversations.

https://huggingface.co/docs/trl/dataset_formats
"""

from typing import Any

from adg_pipeline.formats.exports.base import Format, NotHeld, Row, turns_of
from adg_pipeline.formats.exports.messages import messages, tools


def prompt_completion(row: Row) -> dict[str, Any]:
    """The last turn of the assistant after all that led to it. Earlier answers of a conversation stand in the prompt."""
    *before, last = messages(turns_of(row))
    return {"id": row["example_id"], "source": row["source"], "prompt": before, "completion": [last], **tools(row)}


def conversation(row: Row) -> dict[str, Any]:
    """Every turn; SFTTrainer's `assistant_only_loss` learns all of the assistant's, so none may be marked otherwise."""
    turns = turns_of(row)
    if any(turn.get("learn") is False for turn in turns):
        raise NotHeld("turns that must not be learnt")
    return {"id": row["example_id"], "source": row["source"], "messages": messages(turns), **tools(row)}


PROMPT_COMPLETION = Format(".jsonl", "TRL: prompt and completion, the completion is learnt", prompt_completion)
CONVERSATION = Format(".jsonl", "TRL: whole conversations, for assistant_only_loss", conversation)
