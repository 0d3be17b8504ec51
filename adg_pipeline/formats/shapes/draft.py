"""What a shape makes of a record, and the rules for conversations that all shapes share."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adg_pipeline.algorithms.prompts import standard_role
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import as_text, describe
from adg_pipeline.formats.schema import Message

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Draft:
    """An example that isn't checked yet and has no identity. id_suffix tells examples of one record apart."""

    instruction: str
    input: str
    output: str
    messages: tuple[Message, ...] | None = None
    tools: str = ""
    id_suffix: str = ""


def conversation(turns: Iterable[Message], system: str = "", tools: Any = None) -> Draft:
    """The draft of a conversation, by these rules:

    - It has a user turn and ends with an assistant turn, or it is Unusable.
    - One user turn and one assistant turn, and nothing else, are a single-turn example: `messages` is None.
    - A system text of the record stands before that of the first turn. `tools`, the functions that the assistant may
      call, are the last part of the system message: a line ``Tools:``, then their JSON as the file has it.
    """
    spoken = tuple(turns)
    opening = ""
    if spoken and spoken[0].role == "system":
        opening, spoken = spoken[0].content, spoken[1:]
    introduction = "\n\n".join(part for part in (system, opening, _tools_text(tools)) if part.strip())
    if introduction:
        spoken = (Message("system", introduction), *spoken)
    asked = [turn.content for turn in spoken if turn.role == "user"]
    if not asked:
        raise Unusable("no user turn")
    if spoken[-1].role != "assistant":
        raise Unusable("no final assistant turn", f"the last turn is of role {spoken[-1].role}")
    single = [turn.role for turn in spoken] == ["user", "assistant"]
    return Draft(asked[-1], "", spoken[-1].content, None if single else spoken)


def read_turns(turns: Any, name: str) -> list[Message]:
    """Turns as lists of objects with role and content (OpenAI) or from and value (ShareGPT), in either spelling."""
    if not isinstance(turns, list):
        raise Unusable("malformed conversation", f"'{name}' is {describe(turns)}, not a list of turns")
    return [_read_turn(turn, f"{name}[{place}]") for place, turn in enumerate(turns)]


def _read_turn(turn: Any, name: str) -> Message:
    if not isinstance(turn, dict):
        raise Unusable("malformed conversation", f"'{name}' is {describe(turn)}, not an object with role and content")
    spelled = turn.get("role") if turn.get("role") is not None else turn.get("from")
    if not isinstance(spelled, str):
        raise Unusable("malformed conversation", f"'{name}' has no role")
    role = standard_role(spelled)
    if role not in ROLES:
        raise Unusable("unknown role", f"'{spelled[:40]}' in '{name}'")
    content = _content_text(turn.get("content") if turn.get("content") is not None else turn.get("value"), name)
    calls = _calls_text(turn.get("tool_calls"))
    return Message(role, "\n".join(part for part in (content, calls) if part))


def _content_text(content: Any, name: str) -> str:
    """Text, or OpenAI's list of parts where every part is text."""
    if not isinstance(content, list):
        return as_text(content, name)
    texts = [
        part.get("text") if isinstance(part, dict) and part.get("type", "text") == "text" else None for part in content
    ]
    if not all(isinstance(text, str) for text in texts):
        raise Unusable("not text", f"a part of '{name}' is something else than text")
    return "".join(text for text in texts if text)


def _calls_text(calls: Any) -> str:
    """OpenAI's tool calls as ShareGPT writes them: one JSON object of name and arguments on a line."""
    if not isinstance(calls, list):
        return ""
    return "\n".join(_json(call.get("function", call) if isinstance(call, dict) else call) for call in calls)


def _tools_text(tools: Any) -> str:
    text = tools if isinstance(tools, str) else _json(tools) if tools else ""
    return "" if text.strip() in ("", "[]", "{}", "null") else f"Tools:\n{text}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
