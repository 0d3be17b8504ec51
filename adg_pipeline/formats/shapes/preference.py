"""Preference pairs: the chosen answer is the reference, the rejected one is passed over.

The question is a prompt, a conversation (LLaMA-Factory's `conversations`, OpenAI's ``input: {messages, tools}``), or stands
in the chosen turns themselves, as in HH-RLHF's transcripts.
"""

from collections.abc import Set

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.formats import names
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, missing
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.alpaca import history
from adg_pipeline.formats.shapes.draft import (
    Draft,
    answer_text,
    asked_of,
    context_of,
    conversation,
    pass_over_told,
    refuse_context,
    single,
)
from adg_pipeline.formats.shapes.messages import turns_of
from adg_pipeline.formats.shapes.templates import unwrapped
from adg_pipeline.formats.shapes.turns import turns_in

EXPECTED = "chosen and rejected, with a prompt, an instruction or a conversation"


def matches(keys: Set[str]) -> bool:
    return not keys.isdisjoint(names.CHOSEN) and not keys.isdisjoint(names.REJECTED)


def drafts(record: Record) -> list[Draft]:
    name = next((name for name in names.CHOSEN if record.peek(name) is not None), "")
    if not name:
        raise missing(record, names.CHOSEN[:2])
    if isinstance(record.peek("input"), dict):
        part = record.part({**record.get("input"), name: record.get(name)}, "input")
        found = drafts(part)
        record.close(part)
        return found
    chosen = turns_in(record, (name,))
    conversed = bool(record.filled(names.CONVERSATION))
    asked = turns_of(record) if conversed else turns_in(record, names.ASKED)
    if chosen is None and asked is None:
        return [_of_texts(record, answer_text(record, name))]
    if chosen is None:
        chosen = [Message("assistant", answer_text(record, name))]
    if asked is None:
        asked = history(record)
        if record.filled(names.ASKED):
            key, question = asked_of(record)
            asked.append(Message("user", user_turn(question, context_of(record, asked=key))))
    if asked and asked[-1].role == "assistant" and asked != chosen:
        raise Unusable("ambiguous", f"the conversation has an answer already, other than '{name}'")
    turns = chosen if chosen[: len(asked)] == asked else [*asked, *chosen]
    refuse_context(record, turns)
    pass_over_told(record, turns)
    return [conversation(record, turns)]


def _of_texts(record: Record, chosen: str) -> Draft:
    """Prompt and chosen answer, or a transcript that ends with the chosen answer."""
    if record.filled(names.ASKED):
        asked, context, earlier = asked_of(record)[1], context_of(record), history(record)
        if not earlier:
            return single(record, asked, context, chosen)
        last = (Message("user", user_turn(asked, context)), Message("assistant", chosen))
        return conversation(record, [*earlier, *last])
    before, mark, answer = chosen.rpartition("\n\nAssistant:")
    if unwrapped(before + mark) is None:
        raise missing(record, names.ASKED[:3])
    return single(record, before + mark, "", answer.strip())
