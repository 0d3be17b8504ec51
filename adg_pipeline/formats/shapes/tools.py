"""Functions and calls of them in one form, OpenAI's, whatever form the pool has them in."""

import json
from collections.abc import Sequence
from typing import Any

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import describe, from_json

Call = dict[str, Any]


def read_tools(value: Any, name: str) -> str:
    """JSON text of a list of ``{"type": "function", "function": {name, description, parameters}}``; "" if there are none.

    value: a list, one function, or either as JSON text; each in OpenAI's form, flat, or Anthropic's (`input_schema`).
    """
    specs = _listed(value, name, "malformed tools")
    return _json([_tool(spec, name) for spec in specs]) if specs else ""


def _tool(spec: Any, name: str) -> dict[str, Any]:
    spec = _object(spec, name, "malformed tools")
    function = spec.get("function")
    if function is None and "name" in spec:
        function = {key: value for key, value in spec.items() if key != "type"}
    if function is None:
        return spec  # a tool of another type, which the template may know
    function = dict(_object(function, name, "malformed tools"))
    if "input_schema" in function:
        function.setdefault("parameters", function.pop("input_schema"))
    if isinstance(function.get("parameters"), str):
        function["parameters"] = _object(function["parameters"], f"{name}.parameters", "malformed tools")
    return {"type": "function", "function": function}


def read_calls(value: Any, name: str) -> list[Call]:
    """Calls as ``{"type": "function", "id"?, "function": {"name", "arguments": {…}}}``.

    value: a list, one call, or either as JSON text; each in OpenAI's form or flat. Arguments may be JSON text, too.
    """
    return [_call(call, name) for call in _listed(value, name, "malformed tool call")]


def _call(value: Any, name: str) -> Call:
    call = _object(value, name, "malformed tool call")
    function = call.get("function", call)
    if isinstance(function, str):
        function = {**call, "name": function}
    function = _object(function, name, "malformed tool call")
    called = function.get("name")
    if not isinstance(called, str) or not called:
        raise Unusable("malformed tool call", f"'{name}' has no function name")
    given = next((function[key] for key in ("arguments", "parameters", "args", "input") if key in function), None)
    if isinstance(given, str) and not given.strip():
        given = None
    arguments = _object(given, f"{name} of {called}", "malformed tool call") if given is not None else {}
    own_id = next((call[key] for key in ("id", "call_id", "tool_call_id") if isinstance(call.get(key), str)), "")
    identity = {"id": own_id} if own_id else {}
    return {"type": "function", **identity, "function": {"name": called, "arguments": arguments}}


def calls_json(calls: Sequence[Call]) -> str:
    return _json(list(calls)) if calls else ""


def calls_text(calls: str) -> str:
    """Calls as ShareGPT writes them: one JSON object of name and arguments on a line. calls: JSON text of the list."""
    return "\n".join(_json(call["function"]) for call in json.loads(calls)) if calls else ""


def _listed(value: Any, name: str, kind: str) -> list[Any]:
    if isinstance(value, str) and not value.strip():
        return []
    value = _parsed(value, name, kind)
    listed = value if isinstance(value, list) else [value] if value else []
    return [part for part in listed if part is not None]


def _object(value: Any, name: str, kind: str) -> dict[str, Any]:
    value = _parsed(value, name, kind)
    if not isinstance(value, dict):
        raise Unusable(kind, f"'{name}' is {describe(value)}, not an object")
    return value


def _parsed(value: Any, name: str, kind: str) -> Any:
    """A JSON text as it is. In what was no text, nulls are keys that a columnar file fills in for other tools' objects:
    they are taken out."""
    if not isinstance(value, str):
        return without_nulls(value)
    try:
        return from_json(value, name)
    except Unusable as fault:
        raise Unusable(kind, f"'{name}' is text that is no JSON") from fault


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
