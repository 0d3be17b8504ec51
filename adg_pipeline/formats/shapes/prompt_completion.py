"""A prompt and its completion under the names in use, as texts or as lists of turns (TRL); question and answer."""

from collections.abc import Set

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.formats import names
from adg_pipeline.formats.fields import Record
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.alpaca import history
from adg_pipeline.formats.shapes.draft import (
    Draft,
    answer_of,
    asked_of,
    context_of,
    conversation,
    refuse_context,
    single,
)
from adg_pipeline.formats.shapes.turns import turns_in

EXPECTED = "prompt and completion, prompt and response, or question and answer"


def matches(keys: Set[str]) -> bool:
    return not keys.isdisjoint((*names.ASKED, "input")) and not keys.isdisjoint(names.ANSWERED)


def drafts(record: Record) -> list[Draft]:
    earlier = history(record)
    asked, answer = turns_in(record, names.ASKED), turns_in(record, names.ANSWERED)
    if asked is None:
        name, question = asked_of(record)
        context = context_of(record, asked=name)
        if answer is None and not earlier:
            return [single(record, question, context, answer_of(record))]
        asked = [Message("user", user_turn(question, context))]
    answer = answer if answer is not None else [Message("assistant", answer_of(record))]
    turns = [*earlier, *asked, *answer]
    refuse_context(record, turns)
    return [conversation(record, turns)]
