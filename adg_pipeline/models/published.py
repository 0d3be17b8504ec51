"""The chat template of a published checkpoint: whoever applies it asks the model as it was tuned."""

import json
from collections.abc import Mapping
from typing import Any

from adg_pipeline.algorithms.prompts import alpaca_prompt
from adg_pipeline.models.templates import PromptTemplate

# As `adg_pipeline.algorithms.prompts` writes them. An input is a user turn's own key beside `content`.
_ALPACA = """\
{%- if tools -%}{{- raise_exception('the Alpaca template has no place for tools') -}}{%- endif -%}
{%- set seen = namespace(system=[], spoken=[], answer=none) -%}
{%- for message in messages -%}
    {%- if loop.last and message.role == 'assistant' and not add_generation_prompt -%}
        {%- set seen.answer = message -%}
    {%- elif message.role == 'system' -%}
        {%- set seen.system = seen.system + [message.content or ''] -%}
    {%- else -%}
        {%- set seen.spoken = seen.spoken + [message] -%}
    {%- endif -%}
{%- endfor -%}
{%- set said = namespace(turns=seen.system) -%}
{%- for message in seen.spoken -%}
    {%- set speaker = '' if seen.spoken | length == 1 else (message.role | capitalize) + ': ' -%}
    {%- set said.turns = said.turns + [speaker + (message.content or '')] -%}
{%- endfor -%}
{%- set instruction = said.turns | join('\\n\\n') -%}
{%- set input = seen.spoken[0].input or '' if seen.spoken | length == 1 else '' -%}
{{- BEFORE -}}
{%- if input | trim -%}
    {{- WITH_INPUT -}}
{%- else -%}
    {{- WITHOUT_INPUT -}}
{%- endif -%}
{%- if seen.answer is not none -%}
    {%- if seen.answer.reasoning_content -%}
        {{- '<think>\\n' + seen.answer.reasoning_content + '\\n</think>\\n\\n' -}}
    {%- endif -%}
    {{- seen.answer.content + eos_token -}}
{%- endif -%}
"""

_FOLD = """\
{%- set fold = namespace(turns=[], waiting=[]) -%}
{%- for message in messages -%}
    {%- if message.role == 'system' -%}
        {%- set fold.waiting = fold.waiting + [message.content] -%}
    {%- elif message.role == 'user' and fold.waiting -%}
        {%- set text = (fold.waiting + [message.content]) | join('\\n\\n') -%}
        {%- set fold.turns = fold.turns + [dict(message, content=text)] -%}
        {%- set fold.waiting = [] -%}
    {%- else -%}
        {%- set fold.turns = fold.turns + [message] -%}
    {%- endif -%}
{%- endfor -%}
{%- if fold.waiting -%}
    {%- set fold.turns = fold.turns + [{'role': 'user', 'content': fold.waiting | join('\\n\\n')}] -%}
{%- endif -%}
{%- set messages = fold.turns -%}
"""


def published_chat_template(template: PromptTemplate) -> str | dict[str, str]:
    """A chat template that renders what `PromptTemplate` does, without being told of options or folding.

    The backbone's own with both written at its head, where an option is still what a caller gives; the Alpaca template
    in Jinja otherwise. In the Alpaca template a user turn may have its ``input`` as a key beside ``content``.
    """
    if template.template == "alpaca":
        return _alpaca(template)
    head = "".join(
        f"{{%- if {name} is not defined -%}}{{%- set {name} = {_literal(value)} -%}}{{%- endif -%}}\n"
        for name, value in template.options.items()
    )
    head += _FOLD if template.fold_system else ""
    own = template.tokenizer.chat_template
    # A tokenizer may have several by name, such as one for tools.
    return {name: head + text for name, text in own.items()} if isinstance(own, Mapping) else head + own


def _alpaca(template: PromptTemplate) -> str:
    before = "".join(template.tokenizer.convert_ids_to_tokens(template.before_every_text))
    parts = {
        "BEFORE": _literal(before),
        "WITH_INPUT": _joined(alpaca_prompt("\0", "\1")),
        "WITHOUT_INPUT": _joined(alpaca_prompt("\0")),
    }
    text = _ALPACA
    for name, written in parts.items():
        text = text.replace(f"{{{{- {name} -}}}}", f"{{{{- {written} -}}}}")
    return text


def _joined(prompt: str) -> str:
    """A Jinja expression for an Alpaca prompt of the marks ``\\0`` (instruction) and ``\\1`` (input)."""
    before, after = prompt.split("\0")
    between, mark, end = after.partition("\1")
    with_input = f" + input + {_literal(end)}" if mark else ""
    return f"{_literal(before)} + instruction + {_literal(between)}{with_input}"


def _literal(value: Any) -> str:
    """A JSON value as a Jinja literal, which knows ``none`` where JSON has ``null``."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(str(key))}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
