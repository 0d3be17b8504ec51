"""The turns of a conversation, in every spelling of roles, contents, reasoning, calls and marks."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from adg_pipeline.algorithms.prompts import standard_role
from adg_pipeline.formats import names
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, as_text, describe, from_json, is_empty
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.marks import marked_bad, may_be_learnt, refuse_media
from adg_pipeline.formats.shapes.tools import Call, calls_json, read_calls

ROLES = ("system", "user", "assistant", "tool")
_CALLING_ROLES = ("function_call", "tool_call", "function_calls", "tool_calls")
_PAIR = dict.fromkeys(names.ASKED, "user") | dict.fromkeys(names.ANSWERED, "assistant") | {"input": "user"}


def read_turns(turns: Any, name: str, record: Record, alternating: bool = False) -> list[Message]:
    """Turns as a list, or its JSON text, of objects with a role and a content; or of pairs, as a list of two texts or an
    object of both (``{"human": …, "assistant": …}``).

    record: which they stand in. alternating: whether texts may stand for turns, the user's first.
    """
    if isinstance(turns, str):
        try:
            turns = from_json(turns, name)
        except Unusable as fault:
            raise Unusable("malformed conversation", f"'{name}' is text, not a list of turns") from fault
    if isinstance(turns, dict):
        turns = [turns]
    if not isinstance(turns, list):
        raise Unusable("malformed conversation", f"'{name}' is {describe(turns)}, not a list of turns")
    if alternating and all(isinstance(turn, str) for turn in turns):
        return [Message(("user", "assistant")[place % 2], text) for place, text in enumerate(turns)]
    return [
        message for place, turn in enumerate(turns) for message in _read_turn(turn, f"{name}[{place}]", name, record)
    ]


def turns_in(record: Record, family: Sequence[str]) -> list[Message] | None:
    """Turns under the first of the names that has a value, if that is one turn or a list of turns, or their JSON text."""
    name = next((name for name in family if record.peek(name) is not None), "")
    value = record.peek(name)
    if isinstance(value, str) and value.lstrip().startswith(("[{", "{")):
        try:
            value = from_json(value, name)
        except Unusable:
            return None
    turns = value if isinstance(value, list) else [value]
    if not turns or not all(isinstance(turn, dict) and not turn.keys().isdisjoint(names.ROLE) for turn in turns):
        return None
    record.get(name)
    return read_turns(turns, name, record)


def _read_turn(turn: Any, place: str, name: str, record: Record) -> Iterator[Message]:
    if isinstance(turn, list) and len(turn) == 2 and all(isinstance(text, str) for text in turn):
        yield from (Message("user", turn[0]), Message("assistant", turn[1]))
        return
    if not isinstance(turn, dict):
        raise Unusable("malformed conversation", f"'{place}' is {describe(turn)}, not an object with role and content")
    part = record.part(turn, f"{name}[]")
    refuse_media(part)
    spelled = next((part.get(key) for key in names.ROLE if isinstance(part.peek(key), str)), None)
    if spelled is None:
        yield from _pair(part, place)
    else:
        yield from _messages(part, spelled, place)
    record.close(part)


def _pair(part: Record, place: str) -> Iterator[Message]:
    sides = {}
    for key in part.names:
        role = standard_role(key) if standard_role(key) in ("system", "user", "assistant") else _PAIR.get(key)
        if role in sides or (role is not None and not isinstance(part.peek(key), str)):
            raise Unusable("malformed conversation", f"'{place}' has no role")
        if role is not None:
            sides[role] = Message(role, part.get(key))
    if not {"user", "assistant"} <= sides.keys():
        raise Unusable("malformed conversation", f"'{place}' has no role")
    yield from (sides[role] for role in ROLES if role in sides)


@dataclass
class _Content:
    """What the parts of a turn's content say."""

    text: str = ""
    reasoning: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    learnt: set[bool] = field(default_factory=set)


def _messages(part: Record, spelled: str, place: str) -> Iterator[Message]:
    """The turn, after what tools gave back where that stands in it: in Anthropic's form the user hands it over."""
    role = standard_role(spelled)
    if role not in ROLES:
        raise Unusable("unknown role", f"'{spelled[:40]}' in '{place}'")
    content = _Content()
    key = next((key for key in names.CONTENT if part.peek(key) is not None), "")
    _read_content(part.get(key), place, role, part, content)
    if content.results and role not in ("user", "tool"):
        raise Unusable("malformed conversation", f"'{place}' gives back what a tool said in a turn of {role}")
    yield from content.results
    if not content.results or content.text.strip():
        yield _message(part, spelled, role, place, content)


def _message(part: Record, spelled: str, role: str, place: str, content: _Content) -> Message:
    if role == "tool":
        return Message(
            role, content.text, tool_name=_text(part, "name", "tool_name"), tool_call_id=_text(part, "tool_call_id")
        )
    learn = may_be_learnt(part, learner=role == "assistant")
    if role != "assistant":
        return Message(role, content.text)
    if len(content.learnt) > 1:
        raise Unusable("partly to be learnt", f"the parts of '{place}' are marked in different ways")
    learn = learn and content.learnt != {False} and not marked_bad(part)
    calls = content.calls + [
        call for key in ("tool_calls", "function_call") for call in read_calls(part.get(key), f"{place}.{key}")
    ]
    if names.plain(spelled) in _CALLING_ROLES and not calls:
        with suppress(Unusable):  # a call in a notation of the pool's own stays the text that it is
            calls, content.text = read_calls(content.text, place), ""
    thoughts = content.reasoning + read_reasoning(part)
    return Message(role, content.text, "\n".join(dict.fromkeys(thoughts)), calls_json(calls), learn=learn)


def read_reasoning(record: Record) -> list[str]:
    """What the assistant thought before it answered, under each of its names."""
    return [
        text
        for name in record.filled(names.REASONING)
        if (text := _thought(record.get(name), record.place + name)).strip()
    ]


def _thought(value: Any, name: str) -> str:
    if isinstance(value, list):
        return "\n".join(_thought(part, name) for part in value)
    if isinstance(value, dict):
        value = next((value[key] for key in ("content", "text", "thinking", "reasoning") if value.get(key)), value)
    return as_text(value, name)


def _text(part: Record, *keys: str) -> str:
    return next((as_text(part.get(key), key) for key in keys if part.peek(key) is not None), "")


def _read_content(value: Any, place: str, role: str, turn: Record, content: _Content) -> None:
    """Text, or a list of parts; of a tool, whatever it gave back."""
    if isinstance(value, dict) and role == "tool":
        content.text += _json_text(value)
        return
    if not isinstance(value, list):
        content.text += as_text(value, place)
        return
    if role == "tool" and not all(isinstance(part, dict) and "type" in part for part in value):
        content.text += _json_text(value)
        return
    for part in value:
        if isinstance(part, str):
            content.text += part
        elif isinstance(part, dict):
            _read_part(turn.part(part, "content[]"), place, content, turn)
        else:
            raise Unusable("not text", f"a part of '{place}' is {describe(part)}")


def _read_part(part: Record, place: str, content: _Content, turn: Record) -> None:
    kind = part.get("type") or "text"
    # Columnar files fill in the keys of other parts, so what a part is its type says, and only then its keys.
    if kind in ("text", "input_text", "output_text"):
        text = next((part.get(key) for key in ("text", "value", "content") if part.peek(key) is not None), None)
        if isinstance(text, dict):
            text = text.get("value")
        if not isinstance(text, str):
            raise Unusable("not text", f"a part of '{place}' is something else than text")
        refuse_media(part)
        content.text += text
        content.learnt.add(may_be_learnt(part))
    elif kind in ("thinking", "reasoning", "thought"):
        keys = ("thinking", "reasoning", "text", "content", "value", "thought", "summary")
        content.reasoning.append(
            next((_thought(part.get(key), place) for key in keys if not is_empty(part.peek(key))), "")
        )
    elif kind in ("tool_use", "tool_call", "function_call", "function"):
        call = {key: part.get(key) for key in ("id", "call_id", "name", "function", "arguments", "input", "parameters")}
        content.calls += read_calls({key: value for key, value in call.items() if value is not None}, place)
    elif kind == "tool_result":
        given = _Content()
        _read_content(part.get("content"), place, "tool", part, given)
        part.get("is_error")
        content.results.append(Message("tool", given.text, tool_call_id=_text(part, "tool_use_id")))
    else:
        raise Unusable("not text", f"a part of '{place}' is {str(kind)[:40]}: needs something else than text")
    part.get("signature")
    turn.close(part)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
