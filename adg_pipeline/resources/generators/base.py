"""What every generator offers: answers to requests, each drawn with its own seed, handed back as they finish."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.errors import PipelineError
from adg_pipeline.models.chat import MissingChatTemplate
from adg_pipeline.models.control_tokens import first_added_token
from adg_pipeline.models.templates import (
    ALPACA_NEXT_TURN,
    Prompt,
    PromptTemplate,
    alpaca_text,
    declared_ends,
)
from adg_pipeline.models.tokenizers import load_tokenizer
from adg_pipeline.resources.generators.endings import STOP, StopTexts
from adg_pipeline.settings.sections import GenerationConfig


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """One sample of one instruction. ``request_id`` names all that decides the answer."""

    example_id: str
    sample_index: int
    prompt: Prompt
    seed: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A sampled answer.

    finish_reason: ``stop`` (the model ended it, or a stop text did), ``length`` (cut at max_new_tokens) or ``tool_calls``.
    output_tokens: tokens generated, the end token included; None where a server doesn't tell.
    prompt_tokens: tokens of the prompt as the engine counted them; None likewise.
    logprob: mean log-probability of the tokens generated, under the backbone itself: before temperature, top-k and
    top-p. None where the engine doesn't tell.
    """

    text: str
    finish_reason: str
    output_tokens: int | None
    prompt_tokens: int | None = None
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class AnswerError:
    """Why a request has no answer: it failed after all attempts, or its prompt leaves no room for an answer."""

    reason: str
    status: Literal["failed", "prompt_too_long"] = "failed"


@dataclass(frozen=True, slots=True)
class Passage:
    """Token ids whose likelihood is asked for: those of `scored`, after those of `context`."""

    context: tuple[int, ...]
    scored: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.context) + len(self.scored)


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Log-probability of each scored token, and the entropy (nats) of what could have stood in its place.

    Without context the first token has no prediction and is left out. entropies: None where the engine doesn't tell.
    """

    logprobs: NDArray[np.float64]
    entropies: NDArray[np.float64] | None = None


Scored = tuple[int, TokenScores | AnswerError]

T = TypeVar("T")

#: Of the setting `generations.stop`: where the template's next turn begins.
_AUTO = "auto"

Outcome = tuple[AnswerRequest, Answer | AnswerError]


class GeneratorError(PipelineError):
    """The engine as a whole can't go on: it can't be opened, or a server refuses what is asked. Names the mend."""


class GeneratorUnreachable(GeneratorError):
    """A server doesn't answer: perhaps it is being restarted."""

    may_pass = True


LOCAL_SCORER = "set `reference_losses.engine` to transformers or vllm, and `reference_losses.model` to its folder"


class Generator(ABC):
    """An engine with a backbone, open between `open` and `close` (or within ``with``).

    A subclass sets `fingerprint` and `context_length` in `open`, and calls `open_template` if the tokenizer is at hand.
    """

    #: What this engine promises about the same request asked again.
    reproducibility: str

    #: What it runs on, for the record of what a shard took.
    hardware: str = "not known"

    #: Tokens that prompt and answer may have together. None where unknown: then the engine refuses a prompt too long.
    context_length: int | None = None

    def __init__(self, config: GenerationConfig) -> None:
        self.config = config
        #: What identifies the model (`adg_pipeline.models.backbones.model_fingerprint`).
        self.fingerprint: Mapping[str, str | None] = {}
        #: How prompts are written and read. None where a server has the only tokenizer.
        self.template: PromptTemplate | None = None
        #: Texts that end an answer.
        self.stops = self._stop_texts(ALPACA_NEXT_TURN)
        #: Tokens that end an answer, and those of them that neither the tokenizer nor the model's own config names.
        self.end_tokens: frozenset[int] = frozenset()
        self.added_end_tokens: frozenset[int] = frozenset()
        #: Examples whose prompt was read as other tokens than it was written in (control tokens spelled by the example).
        self.misread: set[str] = set()

    @abstractmethod
    def open(self) -> None:
        """Load the model, or reach the server. Raises `GeneratorError`, naming the mend."""

    @abstractmethod
    def close(self) -> None:
        """Free what `open` took. Closing twice is allowed."""

    @abstractmethod
    def generate(self, requests: Sequence[AnswerRequest]) -> Iterator[Outcome]:
        """Answer every request once, in the order they finish.

        About ``config.batch_size`` instructions are in the engine at a time. Leaving the iterator early drops the rest.
        Raises `GeneratorError` where going on makes no sense.
        """

    def score(self, passages: Sequence[Passage], batch_size: int) -> Iterator[Scored]:
        """(place, scores) of every passage, in the order they are done. Nothing is drawn.

        Raises `GeneratorError` where the engine can't: it names a scorer that can.
        """
        raise GeneratorError(
            f"the engine {self.config.engine} tells no log-probabilities of given texts: {LOCAL_SCORER}"
        )

    def forward(
        self, passages: Sequence[Passage], batch_size: int, work: Callable[[Any, Sequence[Passage]], list[T]]
    ) -> Iterator[tuple[int, T]]:
        """(place, result) of ``work(model, batch)``, which gives one result per passage: for what engines don't tell, such
        as hidden states. Passages of like length share a batch. Raises `GeneratorError` where the model isn't at hand.
        """
        raise GeneratorError(
            f"the engine {self.config.engine} keeps its model to itself: set `reference_losses.engine` to transformers"
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What decides an answer beside prompt, sampling and seed: the engine and the model, wherever that lies."""
        return {"engine": self.config.engine, "model": self.fingerprint["content"] or self.fingerprint["id"]}

    @property
    def endings(self) -> dict[str, Any]:
        """What decides where an answer ends, beyond the end tokens of the tokenizer and of the model's own config."""
        given = {"stop_tokens": sorted(self.added_end_tokens), "stop": self.stops.texts}
        return {name: value for name, value in given.items() if value}

    @property
    def tokenizer(self) -> Any:
        """Tokenizer of the backbone. None where a server has the only one."""
        return self.template.tokenizer if self.template else None

    def render(
        self, instruction: str, input: str = "", messages: Sequence[Mapping[str, Any]] | None = None, tools: str = ""
    ) -> Prompt:
        """The prompt of one example. Raises `adg_pipeline.algorithms.prompts.PromptError` if it has none."""
        example = {"instruction": instruction, "input": input, "messages": messages, "tools": tools}
        if self.template is not None:
            return self.template.prompt(example)
        text = alpaca_text(example)
        return Prompt(text, (text,))

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int] | None:
        """Length of each prompt in tokens, None if only the server can tell."""
        return None if self.template is None else [len(ids) for ids in self.template.encode(prompts)]

    def written(self, prompts: Sequence[Prompt]) -> list[str | list[int]]:
        """What says all of a prompt: its text, or its token ids where the tokenizer would make others of the text."""
        texts = [prompt.text for prompt in prompts]
        if self.template is None or not texts:
            return list(texts)
        read, meant = self.tokenizer(texts).input_ids, self.template.encode(prompts)
        return [text if ids == own else own for text, ids, own in zip(texts, read, meant, strict=True)]

    def ended(self, answer: Answer) -> Answer:
        """The answer, cut where a stop text ends it."""
        cut = self.stops.cut(answer.text)
        return answer if cut is None else replace(answer, text=cut, finish_reason=STOP)

    def open_template(self, path: str) -> None:
        """Load the tokenizer. Fails here, not example by example, if the chat template that is asked for is missing."""
        config = self.config
        tokenizer = load_tokenizer(path, config.revision)
        declared = declared_ends(path, config.revision) | ({tokenizer.eos_token_id} - {None})
        fold = config.system_text == "fold"
        try:
            template = PromptTemplate(tokenizer, config.template, config.template_options, fold, declared)
        except MissingChatTemplate as error:
            raise GeneratorError(f"generations.template is chat, but {error}") from error
        self.template, self.stops, self.end_tokens = template, self._stop_texts(template.next_turn), template.turn_ends
        if _AUTO in config.stop:
            # What opens a turn is mostly a token, of which nothing is left in the text of an answer.
            opening = (first_added_token(tokenizer, text) for text in template.next_turn)
            self.end_tokens |= {token for token in opening if token is not None}
        self.added_end_tokens = self.end_tokens - declared

    def _stop_texts(self, next_turn: Sequence[str]) -> StopTexts:
        given = self.config.stop
        if _AUTO in given and not next_turn:
            raise GeneratorError(
                "generations.stop is auto, but the chat template doesn't show how the next turn begins: name the texts"
            )
        # The blank line that mostly stands between turns is no part of the answer either.
        openings = [*next_turn, *(f"\n{text}" for text in next_turn if text.startswith("\n"))]
        return StopTexts([text for stop in given for text in (openings if stop == _AUTO else [stop])])

    def require_room(self) -> None:
        """Fail if no prompt at all could be answered. Single prompts that are too long are recorded instead."""
        if self.context_length is not None and self.context_length <= self.config.max_new_tokens:
            raise GeneratorError(
                f"generations.max_new_tokens is {self.config.max_new_tokens:,}, but {self.config.backbone} has a context of "
                f"{self.context_length:,} tokens, prompt included: lower max_new_tokens, or use a backbone with more context"
            )

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
