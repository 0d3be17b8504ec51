"""One rendering that sampling, training and publishing share: prompts, answers, and what ends a turn.

A prompt template is Stanford Alpaca's, or the tokenizer's own chat template with the user's options for it. Whatever has
to know how a model's turns look asks here, so that a backbone is tuned on what it was asked, is taught the end that its
template writes, and stops at that end wherever it is run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adg_pipeline.algorithms.prompts import (
    NoPlace,
    Template,
    Turn,
    alpaca_answer,
    alpaca_prompt,
    answered_messages,
    fold_system_text,
    may_be_learnt,
    prompt_messages,
    transcript,
)
from adg_pipeline.models.backbones import loading_revision
from adg_pipeline.models.chat import ChatTemplate, Tools, for_template, tools_of
from adg_pipeline.models.control_tokens import ControlTokens, first_added_token, pieces_behind, put_before_every_text
from adg_pipeline.models.tokenizers import load_tokenizer

# Where a base model goes on by itself after an Alpaca answer, the next prompt begins.
ALPACA_NEXT_TURN = (
    "\n### Instruction:",
    "\n### Input:",
    "\n### Response:",
    "\nBelow is an instruction that describes a task",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered text.

    text: for a server, which tokenizes it with special tokens. A BOS that the template writes and the tokenizer would
    add is taken off, so that it stands once. pieces: the text as the template wrote it, cut at what the example itself
    spells like a control token; every second piece is such a spelling. `PromptTemplate.encode` reads these. misread: the
    template changes such a text, so that it can't be told from the template's own and is read as a control token.
    """

    text: str
    pieces: tuple[str, ...]
    misread: bool = False


class PromptTemplate:
    """How the turns of one backbone are written and ended.

    Args:
        tokenizer: The backbone's.
        template: ``alpaca``, or ``chat`` for the tokenizer's chat template.
        options: Variables of the chat template, such as ``{"enable_thinking": False}``.
        fold_system: Write system text at the head of the user turn after it, for chat templates without a system turn.
        declared_ends: End tokens of the backbone's generation config (`declared_ends`).

    Attributes:
        after_answer: What the template writes after an answer: its end and white space. The tokenizer's eos for alpaca.
        next_turn: Texts that open the next user's turn.
        end: Id of the token that the template itself ends an answer with; the tokenizer's eos where it uses none.
        turn_ends: Ids of the tokens that end a turn: the tokenizer's eos, the declared ones, and the template's.
        before_every_text: Ids that the tokenizer puts before a text: BOS, as a rule.

    Raises:
        MissingChatTemplate: ``chat``, and the tokenizer has none.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: Template,
        options: Mapping[str, Any] | None = None,
        fold_system: bool = False,
        declared_ends: Collection[int] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.options = dict(options or {})
        self.fold_system = fold_system and template == "chat"
        self.before_every_text = put_before_every_text(tokenizer)
        self._chat = ChatTemplate(tokenizer, self.options) if template == "chat" else None
        self.after_answer: str = tokenizer.eos_token or ""
        self.next_turn: tuple[str, ...] = ALPACA_NEXT_TURN
        end = None
        if self._chat is not None:
            self.after_answer, between = self._chat.around_an_answer()
            opening = between.removeprefix(self.after_answer)
            line_break = "\n" if opening.startswith("\n") else ""
            self.next_turn = (line_break + opening.strip(),) if opening.strip() else ()
            # Some templates close a turn only when another follows, or with the token that opens the next one.
            closing = (first_added_token(tokenizer, text) for text in (self.after_answer, between))
            end = next((token for token in closing if token is not None), None)
        self.end: int | None = tokenizer.eos_token_id if end is None else end
        self.turn_ends: frozenset[int] = frozenset({*declared_ends, self.end, tokenizer.eos_token_id} - {None})
        self._control = ControlTokens(tokenizer, self.turn_ends)

    def prompt(self, example: Mapping[str, Any]) -> Prompt:
        """The prompt of an example, up to where the answer begins.

        Args:
            example: ``instruction`` and ``input`` and, where there are any, ``messages`` and ``tools``, as a raw pool
                has them.

        Raises:
            PromptError: the template refuses this example, or has no place for a part of it.
        """
        turns = prompt_messages(example["instruction"], example["input"], example.get("messages"))
        if self.template == "chat":
            return self._chat_text(turns, tools_of(example), answer_follows=True)
        return self.plain(alpaca_text(example))

    def answers(self, example: Mapping[str, Any], *, every_turn: bool = False) -> list[tuple[Prompt, Prompt]]:
        """What is learnt of an example: each answer as its prompt, and as the text with that answer at its end.

        The reference answer alone; of a conversation, with ``every_turn``, each assistant turn that may be learnt and has
        a turn before it, in their order.

        Raises:
            PromptError: the template refuses this example, or has no place for a part of it.
        """
        turns = answered_messages(example["instruction"], example["input"], example["output"], example.get("messages"))
        last = len(turns) - 1
        places = [place for place in range(1, last) if every_turn and may_be_learnt(turns[place])] + [last]
        if self.template == "alpaca":
            asked = [self.plain(alpaca_prompt(transcript(turns[:place]))) for place in places[:-1]]
            prompts = [*asked, self.prompt(example)]
            return [
                (prompt, self._alpaca_answer(prompt, turns[at])) for prompt, at in zip(prompts, places, strict=True)
            ]
        tools = tools_of(example)
        return [
            (
                self._chat_text(turns[:place], tools, answer_follows=True),
                self._chat_text(turns[: place + 1], tools, answer_follows=False),
            )
            for place in places
        ]

    def answer_ids(
        self, prompt: Prompt, whole: Prompt, prompt_ids: list[int], whole_ids: list[int]
    ) -> list[int] | None:
        """Token ids that follow those of the prompt: the answer with all that the template writes after it.

        The model answers after the tokens of the prompt alone, so these stand unchanged, also where the tokenizer would
        merge across the seam. An answer that the template doesn't end is ended here. None where the template doesn't
        begin the whole with the prompt, so that what it would have the model write isn't known.
        """
        if whole_ids[: len(prompt_ids)] == prompt_ids:
            # Tokenized in its place: some tokenizers (SentencePiece) put a space before a text's first word.
            ids = whole_ids[len(prompt_ids) :]
        else:
            pieces = pieces_behind(whole.pieces, "".join(prompt.pieces))
            if pieces is None:
                return None
            ids = self._control.encode_inside(pieces)
        return ids if self.end is None or self.turn_ends.intersection(ids) else [*ids, self.end]

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each prompt, as the model is to read them.

        A chat template writes every special token itself. Before an Alpaca prompt stands what the tokenizer adds (BOS);
        an end that some tokenizers add to every text is no part of a prompt.
        """
        before = [] if self.template == "chat" else self.before_every_text
        return [[*before, *ids] for ids in self._control.encode([prompt.pieces for prompt in prompts])]

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of a text that follows a prompt; control tokens that it spells stay text."""
        (ids,) = self._control.encode([self._control.cut(text)])
        return ids

    def _chat_text(self, turns: list[Turn], tools: Tools, *, answer_follows: bool) -> Prompt:
        assert self._chat is not None
        shown = [for_template(turn) for turn in (fold_system_text(turns) if self.fold_system else turns)]
        text = self._chat.write(shown, tools, answer_follows=answer_follows)
        self._chat.require_place(text, shown, tools, answer_follows=answer_follows)
        pieces: tuple[str, ...] = (text,)
        spelled = False
        marked, marked_tools = self._control.marked(shown), self._control.marked(tools)
        if (marked, marked_tools) != (shown, tools):
            rendered = self._chat.write(marked, marked_tools, answer_follows=answer_follows)
            pieces, spelled = self._control.cut_at_marks(rendered, text), True
        bos = self.tokenizer.bos_token
        adds_bos = bool(bos) and self.before_every_text[:1] == [self.tokenizer.bos_token_id]
        return Prompt(text.removeprefix(bos) if adds_bos else text, pieces, spelled and len(pieces) == 1)

    def plain(self, text: str) -> Prompt:
        """A text that holds no control token of a template's."""
        return Prompt(text, self._control.cut(text))

    def _alpaca_answer(self, prompt: Prompt, answer: Turn) -> Prompt:
        if answer.get("tool_calls"):
            raise NoPlace("the Alpaca template has no place for tools")
        text = alpaca_answer(answer)
        first, *more = self._control.cut(text)
        return Prompt(prompt.text + text, (*prompt.pieces[:-1], prompt.pieces[-1] + first, *more))


def alpaca_text(example: Mapping[str, Any]) -> str:
    """The Alpaca prompt of an example. Raises `NoPlace` if it is about tools."""
    turns = prompt_messages(example["instruction"], example["input"], example.get("messages"))
    if example.get("tools") or any(turn.get("tool_calls") for turn in turns):
        raise NoPlace("the Alpaca template has no place for tools")
    if example.get("messages"):
        return alpaca_prompt(transcript(turns))
    return alpaca_prompt(example["instruction"], example["input"])


def open_prompt_template(
    path_or_name: str,
    revision: str | None,
    template: Template,
    options: Mapping[str, Any] | None = None,
    fold_system: bool = False,
) -> PromptTemplate:
    """The prompt template of a backbone, with the backbone's tokenizer and the ends that it declares."""
    tokenizer = load_tokenizer(path_or_name, revision)
    return PromptTemplate(tokenizer, template, options, fold_system, declared_ends(path_or_name, revision))


def declared_ends(path_or_name: str, revision: str | None = None) -> frozenset[int]:
    """End tokens that a model's generation config declares, or its configuration where it has none."""
    from transformers import AutoConfig, GenerationConfig

    commit = loading_revision(path_or_name, revision)
    try:
        declared = GenerationConfig.from_pretrained(path_or_name, revision=commit or "main").eos_token_id
    except OSError:
        declared = AutoConfig.from_pretrained(path_or_name, revision=commit).get_text_config().eos_token_id
    return frozenset(declared if isinstance(declared, list) else [declared]) - {None}
