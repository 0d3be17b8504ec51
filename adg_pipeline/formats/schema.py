"""The canonical example: its columns, its identity, and what is kept of a record that can't be one."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

# The list's field is called "element", as Parquet stores it: what is read back then equals this schema.
RAW_POOL_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("source", pa.string()),
        ("instruction", pa.string()),
        ("input", pa.string()),
        ("output", pa.string()),
        (
            "messages",
            pa.list_(pa.field("element", pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ),
        ("content_hash", pa.string()),
        ("row", pa.int64()),
    ]
)

EXCERPT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. role: system, user, assistant or tool."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One instruction with its reference output.

    example_id: the file's own id, else `content_hash`. messages: every turn of a conversation; None where one user turn
    and one assistant turn say it all. In a conversation `instruction` is the last user turn, `output` the last
    assistant turn, and `input` is empty. row: the record's number in its file, from 1.
    """

    example_id: str
    source: str
    instruction: str
    input: str
    output: str
    messages: tuple[Message, ...] | None
    content_hash: str
    row: int

    def to_row(self) -> dict[str, Any]:
        """The columns of `RAW_POOL_SCHEMA` as plain JSON values."""
        return {
            "example_id": self.example_id,
            "source": self.source,
            "instruction": self.instruction,
            "input": self.input,
            "output": self.output,
            "messages": [{"role": turn.role, "content": turn.content} for turn in self.messages]
            if self.messages
            else None,
            "content_hash": self.content_hash,
            "row": self.row,
        }


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that was not taken.

    record: its number in the file, from 1. line: where it begins, if the file has lines. kind: what rejections are
    counted by. reason: the kind with what is particular to this record. excerpt: its first 200 characters.
    """

    record: int
    line: int | None
    kind: str
    reason: str
    excerpt: str


def canonical_content(instruction: str, input: str, output: str, messages: Sequence[Message] | None) -> bytes:
    """Canonical JSON of what an example says: the bytes behind `content_hash`.

    Raises UnicodeEncodeError for a lone surrogate, which no UTF-8 file can hold.
    """
    turns = [[turn.role, turn.content] for turn in messages] if messages else None
    return json.dumps([instruction, input, output, turns], ensure_ascii=False, separators=(",", ":")).encode()


def content_hash(content: bytes) -> str:
    """First 32 hex digits of the SHA-256 of `canonical_content`."""
    return hashlib.sha256(content).hexdigest()[:32]
