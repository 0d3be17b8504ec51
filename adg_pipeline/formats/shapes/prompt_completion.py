"""Prompt and completion, under the names in use; TRL's form where both are lists of turns; question and answer."""

from collections.abc import Mapping, Set
from typing import Any

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import as_text, keys_of
from adg_pipeline.formats.shapes.draft import Draft, conversation, read_turns

EXPECTED = "prompt and completion, prompt and response, or question and answer"
_PAIRS = (("prompt", "completion"), ("prompt", "response"), ("question", "answer"))


def matches(keys: Set[str]) -> bool:
    return _pair(keys) is not None


def _pair(keys: Set[str]) -> tuple[str, str] | None:
    for prompt, completion in _PAIRS:
        if prompt in keys and completion in keys:
            # Multiple choice: the answer is a number or a letter that means nothing without the choices.
            ambiguous = prompt == "question" and not keys.isdisjoint({"choices", "options", "prompt"})
            return None if ambiguous else (prompt, completion)
    return None


def drafts(record: Mapping[str, Any]) -> list[Draft]:
    pair = _pair({name for name, value in record.items() if value is not None})
    if pair is None:
        raise Unusable("missing field", f"no {EXPECTED} among {keys_of(record)}")
    prompt, completion = (record[name] for name in pair)
    if isinstance(prompt, list) and isinstance(completion, list):
        return [conversation(read_turns(prompt, pair[0]) + read_turns(completion, pair[1]), "", record.get("tools"))]
    return [Draft(as_text(prompt, pair[0]), "", as_text(completion, pair[1]))]
