"""The tokenizer's chat template: turns to text, with nothing of them passed over."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from adg_pipeline.algorithms.prompts import NoPlace, PromptError, Turn
from adg_pipeline.errors import PipelineError

_ASKED, _ANSWERED, _ASKED_NEXT = "Count.", "Seventeen", "Eighteen"

Tools = list[Any] | None


class MissingChatTemplate(PipelineError):
    """The tokenizer has no chat template: no example can be rendered."""


class ChatTemplate:
    """A tokenizer's chat template with the options that it is given.

    Raises:
        MissingChatTemplate: the tokenizer has none; names the model and the mend.
    """

    def __init__(self, tokenizer: Any, options: Mapping[str, Any]) -> None:
        require_chat_template(tokenizer)
        self._tokenizer = tokenizer
        self._options = dict(options)

    def write(self, turns: list[Turn], tools: Tools, *, answer_follows: bool) -> str:
        """The text of turns in the template's own form (`for_template`): up to an answer that follows, or whole.

        Raises:
            PromptError: the template refuses them.
        """
        from jinja2 import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                turns, tools=tools, tokenize=False, add_generation_prompt=answer_follows, **self._options
            )
        except (TemplateError, TypeError) as error:  # a TypeError where it adds text to what a turn hasn't got
            roles = ", ".join(turn["role"] for turn in turns)
            raise PromptError(f"the chat template refuses the roles {roles}: {error}") from error
        return text

    def require_place(self, text: str, turns: list[Turn], tools: Tools, *, answer_follows: bool) -> None:
        """Raise `NoPlace` if the template has passed over a part of what it has written as this text."""
        passed_over = []
        for name, turns_without, tools_without in _parts(text, turns, tools):
            with suppress(PromptError):  # it can't do without that part
                if self.write(turns_without, tools_without, answer_follows=answer_follows) == text:
                    passed_over.append(name)
        if passed_over:
            raise NoPlace(f"the chat template has no place for {', '.join(passed_over)}")

    def around_an_answer(self) -> tuple[str, str]:
        """What stands after an answer that is the last turn, and between an answer and the next question."""
        exchange = [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _ANSWERED}]
        going_on = [*exchange, {"role": "user", "content": _ASKED_NEXT}]
        try:
            after = self.write(exchange, None, answer_follows=False).rpartition(_ANSWERED)[2]
            more = self.write(going_on, None, answer_follows=False).rpartition(_ANSWERED)[2]
        except PromptError:
            return "", ""
        return after, more.partition(_ASKED_NEXT)[0]


def require_chat_template(tokenizer: Any) -> None:
    """Raise `MissingChatTemplate`, naming the model and the mend, unless the tokenizer has a chat template."""
    if getattr(tokenizer, "chat_template", None) is None:
        model = getattr(tokenizer, "name_or_path", None) or "the backbone"
        raise MissingChatTemplate(
            f"the tokenizer of {model} has no chat template; set `template: alpaca`, "
            "or use a backbone whose tokenizer has one"
        )


def for_template(turn: Mapping[str, Any]) -> Turn:
    """A turn as chat templates read it: tool calls and their arguments as objects, and nothing that isn't there."""
    shown: Turn = {"role": turn["role"], "content": turn["content"]}
    for ours, theirs in (("reasoning", "reasoning_content"), ("tool_name", "name"), ("tool_call_id", "tool_call_id")):
        if turn.get(ours):
            shown[theirs] = turn[ours]
    if turn.get("tool_calls"):
        shown["tool_calls"] = json.loads(turn["tool_calls"])
    return shown


def tools_of(example: Mapping[str, Any]) -> Tools:
    """The function specifications of an example, None if it has none."""
    text = example.get("tools")
    return json.loads(text) if text else None


def _parts(text: str, turns: list[Turn], tools: Tools) -> list[tuple[str, list[Turn], Tools]]:
    """What a template may pass over, each with the turns and tools that are left without it."""
    parts: list[tuple[str, list[Turn], Tools]] = []
    if tools:
        parts.append(("tools", turns, None))
    if any("tool_calls" in turn for turn in turns):
        parts.append(("tool calls", [_without(turn, "tool_calls") for turn in turns], tools))
    if turns[-1]["role"] == "assistant" and "reasoning_content" in turns[-1]:
        parts.append(("the answer's reasoning", [*turns[:-1], _without(turns[-1], "reasoning_content")], tools))
    for place, turn in enumerate(turns):
        # Nearly every turn stands in the text as it is: only the others are worth another rendering.
        if turn["role"] != "assistant" and turn["content"].strip() not in text:
            emptied = [*turns[:place], {**turn, "content": ""}, *turns[place + 1 :]]
            parts.append((f"a {turn['role']} turn", emptied, tools))
    return parts


def _without(turn: Turn, name: str) -> Turn:
    return {key: value for key, value in turn.items() if key != name}
