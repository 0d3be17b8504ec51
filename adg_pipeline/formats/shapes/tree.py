"""OpenAssistant's trees: a prompt with replies, each with replies. The example is the path of the best-ranked ones."""

from collections.abc import Set
from typing import Any

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record
from adg_pipeline.formats.shapes.draft import Draft, conversation
from adg_pipeline.formats.shapes.turns import read_turns

EXPECTED = "prompt, a message with replies (OpenAssistant's trees)"


def matches(keys: Set[str]) -> bool:
    return "message_tree_id" in keys and "prompt" in keys


def drafts(record: Record) -> list[Draft]:
    record.get("message_tree_id"), record.get("tree_state")
    path = []
    node: Any = record.get("prompt")
    while isinstance(node, dict):
        path.append({"role": node.get("role"), "content": node.get("text", node.get("content"))})
        replies = [reply for reply in node.get("replies") or () if isinstance(reply, dict) and _stands(reply)]
        node = min(replies, key=_rank) if replies else None
    if not path:
        raise Unusable("malformed conversation", "'prompt' is no message with replies")
    # A tree whose best path ends with a question is answered up to there.
    while path and path[-1]["role"] not in ("assistant", "gpt"):
        path.pop()
    return [conversation(record, read_turns(path, "prompt.replies", record))]


def _stands(reply: dict[str, Any]) -> bool:
    return not reply.get("deleted") and reply.get("review_result") is not False


def _rank(reply: dict[str, Any]) -> float:
    """Rank 0 is the best; a reply that nobody ranked comes after those that somebody did."""
    rank = reply.get("rank")
    return float(rank) if isinstance(rank, int | float) else float("inf")
