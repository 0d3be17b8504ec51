"""The canonical example: its columns, its identity, and what is kept of a record that can't be one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

TURN_FIELDS = ("role", "content", "reasoning", "tool_calls", "tool_name", "tool_call_id", "learn")
_TURN = pa.struct([*((name, pa.string()) for name in TURN_FIELDS[:-1]), ("learn", pa.bool_())])

# The list's field is called "element", as Parquet stores it: what is read back then equals this schema.
RAW_POOL_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("source", pa.string()),
        ("instruction", pa.string()),
        ("input", pa.string()),
        ("output", pa.string()),
        ("messages", pa.list_(pa.field("element", _TURN))),
        ("tools", pa.string()),
        ("content_hash", pa.string()),
        ("row", pa.int64()),
    ]
)

EXCERPT_CHARS = 200

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    role: system, user, assistant or tool. reasoning: what the assistant thought before its answer, where the file has it
    apart from the content. tool_calls: JSON text of OpenAI's list of ``{"type": "function", "id"?, "function": {"name",
    "arguments": {…}}}``. tool_name, tool_call_id: which tool, and which call of it, a tool's turn answers. learn: False
    for a turn of the assistant that must not be learnt.
    """

    role: str
    content: str
    reasoning: str = ""
    tool_calls: str = ""
    tool_name: str = ""
    tool_call_id: str = ""
    learn: bool = True

    def to_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in TURN_FIELDS}

    def said(self) -> list[Any]:
        """Role and content; then what else it has, by name, so that a plain turn is hashed as it always was."""
        more = {name: getattr(self, name) for name in TURN_FIELDS[2:-1] if getattr(self, name)}
        more |= {} if self.learn else {"learn": False}
        return [self.role, self.content, more] if more else [self.role, self.content]


class Example(msgspec.Struct, frozen=True, gc=False):
    """One instruction with its reference output, its fields in the order of `RAW_POOL_SCHEMA`.

    example_id: the file's own id, else `content_hash`. messages: every turn of a conversation; None where instruction,
    input and output say it all. It ends with the last assistant turn that may be learnt. In a conversation
    `instruction` is the last user turn, `input` is empty, and `output` is the text of that last assistant turn: its
    content, then its tool calls, one JSON object of name and arguments a line. tools: JSON text of the list of functions
    that the assistant may call, as chat templates want it; "" if there are none. row: the record's number in its file,
    from 1.
    """

    example_id: str
    source: str
    instruction: str
    input: str
    output: str
    messages: tuple[Message, ...] | None
    tools: str
    content_hash: str
    row: int


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


def canonical_content(
    instruction: str, input: str, output: str, messages: Sequence[Message] | None, tools: str = ""
) -> bytes:
    """Canonical JSON of what an example says: the bytes behind `content_hash`.

    Raises UnicodeEncodeError for a lone surrogate, which no UTF-8 file can hold.
    """
    turns = [turn.said() for turn in messages] if messages else None
    said = (instruction, input, output, turns)
    return _encode((*said, tools) if tools else said)


def content_hash(content: bytes) -> str:
    """First 32 hex digits of the SHA-256 of `canonical_content`."""
    return hashlib.sha256(content).hexdigest()[:32]
