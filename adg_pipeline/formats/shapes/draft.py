"""What a shape makes of a record, and the rules that all shapes share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import msgspec

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.formats import names
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, as_text, from_json, is_empty, joined_text, missing
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.templates import unwrapped, wears_marks
from adg_pipeline.formats.shapes.tools import calls_json, calls_text, read_calls, read_tools
from adg_pipeline.formats.shapes.turns import read_reasoning
from adg_pipeline.settings.sections import AskedTurn


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An example that isn't checked yet and has no identity. id_suffix tells examples of one record apart."""

    instruction: str
    input: str
    output: str
    messages: tuple[Message, ...] | None = None
    tools: str = ""
    id_suffix: str = ""


def single(record: Record, instruction: str, input: str, output: str) -> Draft:
    """The draft of one question and its answer; a conversation if the record has system text, tools or reasoning."""
    tools = _tools(record)
    if not tools and not record.filled((*names.REASONING, *names.SYSTEM)) and not wears_marks(instruction):
        return Draft(instruction, input, output)  # as most are
    answer = Message("assistant", output, "\n".join(read_reasoning(record)), _called(output, tools))
    if answer.tool_calls:
        answer = replace(answer, content="")
    found = unwrapped(instruction)
    if found is None:
        return _draft(record, [Message("user", instruction), answer], tools, input)
    if found.input.strip() not in ("", input.strip()) and input.strip():
        raise Unusable("prompt template", f"the input in its {found.template} prompt is another than the one beside it")
    record.unwrapped.append(found.template)
    answer = replace(answer, content=found.without_end(answer.content))
    return _draft(record, [*found.turns, answer], tools, found.input or input)


def conversation(record: Record, turns: Iterable[Message]) -> Draft:
    """The draft of a conversation, by these rules:

    - It has a user turn and ends with an assistant turn, or it is Unusable. What comes after its last turn that may be
      learnt is left off; if there is none, it is Unusable.
    - One user turn and one assistant turn of plain text, and nothing else, are a single-turn example: `messages` is None.
    - System texts of the record stand before that of the first turn. Its reasoning is that of the last one, if this has
      none of its own.
    """
    bare = _without_templates(record, list(turns))
    if bare and bare[-1].role == "assistant" and not bare[-1].reasoning:
        bare[-1] = replace(bare[-1], reasoning="\n".join(read_reasoning(record)))
    return _draft(record, bare, _tools(record))


def _draft(record: Record, turns: list[Message], tools: str, input: str = "") -> Draft:
    opening = ""
    if turns and turns[0].role == "system":
        opening, turns = turns[0].content, turns[1:]
    system = [joined_text(record.get(name), name) for name in record.filled(names.SYSTEM)]
    texts = dict.fromkeys(text for text in (*system, opening) if text.strip())
    if texts:
        turns = [Message("system", "\n\n".join(texts)), *turns]
    if not any(turn.role == "user" for turn in turns):
        raise Unusable("no user turn")
    if turns[-1].role != "assistant":
        raise Unusable("no final assistant turn", f"the last turn is of role {turns[-1].role}")
    learnable = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.learn]
    if not learnable:
        raise Unusable("nothing to be learnt", "every turn of the assistant is marked as not to be learnt")
    turns = turns[: learnable[-1] + 1]
    if not any(turn.role == "user" for turn in turns):
        raise Unusable("no user turn", "none before the last turn that may be learnt")
    return _of_turns(turns, tools, input)


def _of_turns(turns: list[Message], tools: str, input: str = "") -> Draft:
    """The draft of turns that end with the reference answer; input: of the last of the user's."""
    last, place = turns[-1], max(place for place, turn in enumerate(turns) if turn.role == "user")
    output = "\n".join(part for part in (last.content, calls_text(last.tool_calls)) if part)
    plain = [turn.role for turn in turns] == ["user", "assistant"] and not (last.reasoning or last.tool_calls or tools)
    if plain:
        return Draft(turns[place].content, input, output)
    if input.strip():
        turns[place] = replace(turns[place], content=user_turn(turns[place].content, input))
    return Draft(turns[place].content, "", output, tuple(turns), tools)


def asked_turns(draft: Draft, which: AskedTurn) -> Iterator[Draft]:
    """The drafts that a conversation makes by the turn that is asked. Another draft is left as it is.

    Of the first answer, the conversation up to there. Of every answer, a draft each: the conversation up to it, in which
    answers before it aren't to be learnt, since they are drafts of their own. The last keeps the record's id, as it has
    where the last alone is asked; the others have ``#1``, ``#2``, … by their answer's number.
    """
    if which == "last" or draft.messages is None:
        yield draft
        return
    turns = draft.messages
    first = next(place for place, turn in enumerate(turns) if turn.role == "user")
    places = [place for place, turn in enumerate(turns) if place > first and turn.role == "assistant" and turn.learn]
    for number, place in enumerate(places if which == "every" else places[:1], start=1):
        before = [replace(turn, learn=turn.learn and turn.role != "assistant") for turn in turns[:place]]
        suffix = f"{draft.id_suffix}#{number}" if which == "every" and place != places[-1] else draft.id_suffix
        yield msgspec.structs.replace(_of_turns([*before, turns[place]], draft.tools), id_suffix=suffix)


def _without_templates(record: Record, turns: list[Message]) -> list[Message]:
    """User turns that are a whole prompt in some template, replaced by what it wraps."""
    bare: list[Message] = []
    end = None
    for turn in turns:
        found = unwrapped(turn.content) if turn.role == "user" else None
        if found is None:
            bare.append(
                replace(turn, content=end.without_end(turn.content)) if end and turn.role == "assistant" else turn
            )
            continue
        inside = any(turn.role != "system" for turn in bare)
        if (inside and len(found.turns) > 1) or (bare and found.turns[0].role == "system"):
            raise Unusable("prompt template", f"a whole {found.template} prompt stands inside a conversation")
        record.unwrapped.append(found.template)
        *before, last = found.turns
        bare += [*before, replace(last, content=user_turn(last.content, found.input))]
        end = found
    return bare


def _tools(record: Record) -> str:
    filled = record.filled(names.TOOLS)
    if len(filled) > 1:
        raise Unusable("malformed tools", f"both '{filled[0]}' and '{filled[1]}'")
    return read_tools(record.get(filled[0]), filled[0]) if filled else ""


def _called(answer: str, tools: str) -> str:
    """The calls that an answer consists of, where functions are at hand and it is their JSON and nothing else."""
    if not tools or not answer.lstrip().startswith(("[", "{")):
        return ""
    try:
        calls = read_calls(answer, "the answer")
    except Unusable:
        return ""
    return calls_json(calls) if all(f'"{call["function"]["name"]}"' in tools for call in calls) else ""


def asked_of(record: Record) -> tuple[str, str]:
    """Name and text of what is asked. Unusable if nothing is, or two things are."""
    name = one_of(record, names.ASKED if record.names & set(names.ASKED) else ("input",))
    return name, as_text(record.get(name), name)


def answer_of(record: Record) -> str:
    """Text of the answer: the fullest one, where a solution holds what stands as the answer too. Unusable if there is none,
    or there are two."""
    return answer_text(record, one_of(record, names.ANSWERED, fullest=True))


def one_of(record: Record, family: Sequence[str], *, fullest: bool = False) -> str:
    """The first of the names that has a value, or the one that says most. What others say has to be part of it (of the first,
    it may be part of theirs): they are then left unused."""
    present = record.present(family)
    filled = record.filled(family) or present
    if not filled:
        raise missing(record, present or family[:5])
    if len(filled) == 1:
        return filled[0]
    said = {name: as_text(record.peek(name), name).strip() for name in filled if _is_scalar(record.peek(name))}
    taken = max(said, key=lambda name: len(said[name])) if fullest and filled[0] in said else filled[0]
    shown = said.get(taken, str(record.peek(taken)))
    for name, text in said.items():
        if text not in shown and (fullest or shown not in text):
            both = " and ".join(f"'{one}'" for one in filled if one in (taken, name))
            raise Unusable("ambiguous", f"both {both}: say with raw_pool.columns which of them is meant")
    return taken


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def answer_text(record: Record, name: str) -> str:
    """Text of an answer. Of a list of answers it is the best-ranked or best-scored if the record tells, else the first; the
    others are named as not used."""
    value = record.get(name)
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value = value["text"]  # SQuAD's answers beside their places
    if isinstance(value, list) and value and all(isinstance(part, str | int | float) for part in value):
        if len(value) > 1:
            record.say(f"{record.place}{name}[1:]")
        value = value[_best(record, len(value))]
    return as_text(value, name)


def _best(record: Record, count: int) -> int:
    """The place that a ranking puts first. Unusable where it could be read as places in order or as each one's rank."""
    for name in names.RANKING:
        if ranks := _numbers(record, name, count):
            by_rank, in_order = ranks.index(min(ranks)), int(ranks[0] - min(ranks))
            if by_rank != in_order:
                raise Unusable("ambiguous", f"'{name}' may be the answers in order or the rank of each")
            return by_rank
    for name in names.SCORES:
        if scores := _numbers(record, name, count):
            return scores.index(max(scores))
    return 0


def _numbers(record: Record, name: str, count: int) -> list[float]:
    """One for each answer; empty if it isn't that."""
    value = record.peek(name)
    if not isinstance(value, list) or len(value) != count:
        return []
    if not all(isinstance(one, int | float) and isfinite(one) for one in value):
        return []
    record.get(name)
    return value


def context_of(record: Record, more: Sequence[str] = (), asked: str = "") -> str:
    """Text that a question is asked about, under each of its names but the one that the question itself has."""
    filled = [name for name in record.filled((*names.CONTEXT, *more)) if name != asked]
    texts = dict.fromkeys(joined_text(record.get(name), name) for name in filled)
    if asked == "input":
        return "\n\n".join(texts)
    return "\n\n".join(text for text in texts if text.strip()) or _blank(record)


def pass_over_told(record: Record, turns: Sequence[Message]) -> None:
    """Count as used what a conversation tells, too: its question or its answer in a column of their own."""
    told = {turn.content.strip() for turn in turns}
    for name in record.present((*names.ASKED, *names.ANSWERED)):
        value = record.peek(name)
        if isinstance(value, str) and value.strip() in told:
            record.get(name)


def refuse_context(record: Record, turns: Sequence[Message]) -> None:
    """Unusable for a context that stands beside a conversation and isn't told in it: which turn it belongs to isn't said."""
    said = "\n".join(turn.content for turn in turns)
    for name in names.CONTEXT:
        if not is_empty(record.peek(name)) and joined_text(record.peek(name), name).strip() not in said:
            raise Unusable("context beside a conversation", f"'{name}': write it into the turn that asks about it")
        record.get(name)


def _blank(record: Record) -> str:
    """An input that is nothing but white space stays what it was, so that the example's identity does."""
    value = record.get("input") if record.peek("input") is not None else record.get("context")
    return as_text(value, "input")


def history_of(record: Record) -> Any:
    """Earlier turns, as a list. Unusable if they are something else."""
    value = record.get("history")
    return None if is_empty(value) and not isinstance(value, list) else from_json(value, "history")
