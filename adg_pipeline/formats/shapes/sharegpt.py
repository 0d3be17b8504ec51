"""ShareGPT: `conversations` of from and value. Read as every list of turns is."""

from collections.abc import Set

from adg_pipeline.formats.shapes.messages import drafts

__all__ = ["EXPECTED", "drafts", "matches"]

EXPECTED = "conversations, a list of {from, value}; system and tools if there are any"


def matches(keys: Set[str]) -> bool:
    return "conversations" in keys
