"""What every generator offers: answers to requests, each drawn with its own seed, handed back as they finish."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Literal, Self

from adg_pipeline.errors import PipelineError
from adg_pipeline.models.chat import MissingChatTemplate, require_chat_template
from adg_pipeline.models.templates import PromptTemplate, alpaca_text
from adg_pipeline.settings.sections import GenerationConfig


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """One sample of one instruction. ``request_id`` names all that decides the answer."""

    example_id: str
    sample_index: int
    prompt: str
    seed: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A sampled answer.

    finish_reason: ``stop`` (the model ended it), ``length`` (cut at max_new_tokens), or a server's own word.
    output_tokens: tokens generated, the end token included; None where a server doesn't tell.
    prompt_tokens: tokens of the prompt as the engine counted them; None likewise.
    """

    text: str
    finish_reason: str
    output_tokens: int | None
    prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerError:
    """Why a request has no answer: it failed after all attempts, or its prompt leaves no room for an answer."""

    reason: str
    status: Literal["failed", "prompt_too_long"] = "failed"


Outcome = tuple[AnswerRequest, Answer | AnswerError]


class GeneratorError(PipelineError):
    """The engine as a whole can't go on: it can't be opened, or a server refuses what is asked. Names the mend."""


class GeneratorUnreachable(GeneratorError):
    """A server doesn't answer: perhaps it is being restarted."""

    may_pass = True


class Generator(ABC):
    """An engine with a backbone, open between `open` and `close` (or within ``with``).

    A subclass sets `tokenizer`, `fingerprint` and `context_length` in `open`.
    """

    #: What this engine promises about the same request asked again.
    reproducibility: str

    #: Tokenizer of the backbone. None where a server has the only one.
    tokenizer: Any = None

    #: Tokens that prompt and answer may have together. None where unknown: then the engine refuses a prompt too long.
    context_length: int | None = None

    def __init__(self, config: GenerationConfig) -> None:
        self.config = config
        #: What identifies the model (`adg_pipeline.models.backbones.model_fingerprint`).
        self.fingerprint: Mapping[str, str | None] = {}

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

    @property
    def identity(self) -> dict[str, Any]:
        """What decides an answer beside prompt, sampling and seed: the engine and the model, wherever that lies."""
        return {"engine": self.config.engine, "model": self.fingerprint["content"] or self.fingerprint["id"]}

    def render(self, instruction: str, input: str = "", messages: Sequence[Mapping[str, Any]] | None = None) -> str:
        """The prompt of one example. Raises `adg_pipeline.algorithms.prompts.PromptError` if it has none."""
        example = {"instruction": instruction, "input": input, "messages": messages}
        return alpaca_text(example) if self.tokenizer is None else self._prompts.prompt(example).text

    @cached_property
    def _prompts(self) -> PromptTemplate:
        return PromptTemplate(self.tokenizer, self.config.template)

    def count_tokens(self, prompts: Sequence[str]) -> list[int] | None:
        """Length of each prompt in tokens, None if only the server can tell."""
        return None if self.tokenizer is None else [len(ids) for ids in self.encode(prompts)]

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of each prompt, special tokens included (see `adg_pipeline.algorithms.prompts`)."""
        ids: list[list[int]] = self.tokenizer(list(prompts)).input_ids if prompts else []
        return ids

    def require_template(self) -> None:
        """Fail when opening, not example by example, if the chat template that is asked for is missing."""
        if self.config.template != "chat":
            return
        try:
            require_chat_template(self.tokenizer)
        except MissingChatTemplate as error:
            raise GeneratorError(f"generations.template is chat, but {error}") from error

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
