"""Generator on any OpenAI-compatible server: `vllm serve`, llama.cpp, Ollama, a hosted API."""

import asyncio
import logging
import os
import queue
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from anyio.from_thread import start_blocking_portal

from adg_pipeline.host.signals import until_told
from adg_pipeline.models.backbones import EMBEDDED, ModelNotFound, context_length, resolve_backbone
from adg_pipeline.models.templates import Prompt
from adg_pipeline.resources.generators.base import (
    Answer,
    AnswerError,
    AnswerRequest,
    Generator,
    GeneratorError,
    Outcome,
    Passage,
    Scored,
    TokenScores,
)
from adg_pipeline.resources.generators.completions import CompletionsApi, ServedPrompt, served_models
from adg_pipeline.resources.generators.endings import STOP, StopTexts
from adg_pipeline.resources.generators.retry import RetryPolicy
from adg_pipeline.resources.generators.transport import Transport
from adg_pipeline.settings.sections import GenerationConfig

logger = logging.getLogger(__name__)


class EndpointGenerator(Generator):
    """Sends our own rendered prompts to /completions, ``endpoint.concurrency`` at a time and fewer while it is slow.

    Prompts are counted with the backbone's tokenizer if it lies here; otherwise the server says which are too long.
    """

    reproducibility = (
        "Each sample is asked with its own seed. Whether the same request gets the same answer is the server's affair: "
        "its batching, its hardware and its version count, and some servers ignore seeds."
    )

    hardware = "a server's"

    def __init__(self, config: GenerationConfig) -> None:
        super().__init__(config)
        self.retry = RetryPolicy(config.endpoint.max_attempts)
        self._model = ""

    def open(self) -> None:
        # At its own level httpx logs a line for every request.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        if httpx.URL(self.config.endpoint.url).userinfo:
            raise GeneratorError(f"`endpoint.url` holds a password: put it into {self.config.endpoint.api_key_env}")
        with start_blocking_portal() as portal:
            served = portal.call(self._served)
        self._model = self._choose(list(served))
        self.fingerprint = {"id": self._model, "revision": self.config.revision, "content": None}
        self.context_length = served.get(self._model)
        self._open_template()

    def close(self) -> None:
        self.template = None

    def generate(self, requests: Sequence[AnswerRequest]) -> Iterator[Outcome]:
        """The event loop runs in a thread of its own, so that this works where one runs already (a notebook).

        A request is asked when the caller has come back for more after an earlier outcome: what a kill can cost is
        ``endpoint.concurrency`` requests, answers that nobody has kept yet included.
        """
        finished: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        prompts = self._served_prompts(list(dict.fromkeys(request.prompt for request in requests)))
        with start_blocking_portal() as portal:
            loop, taken = portal.call(asyncio.get_running_loop), asyncio.Semaphore(0)
            asking = portal.start_task_soon(self._ask, requests, prompts, finished.put, taken)
            asking.add_done_callback(lambda _: finished.put(None))
            try:
                while (outcome := finished.get()) is not None:
                    yield outcome
                    loop.call_soon_threadsafe(taken.release)
                asking.result()
            finally:
                asking.cancel()

    def score(self, passages: Sequence[Passage], batch_size: int) -> Iterator[Scored]:
        """The server echoes each passage with its log-probabilities, as token ids, and makes batches by itself."""
        finished: queue.SimpleQueue[Scored | None] = queue.SimpleQueue()
        with start_blocking_portal() as portal:
            scoring = portal.start_task_soon(self._score, passages, finished.put)
            scoring.add_done_callback(lambda _: finished.put(None))
            try:
                while (scored := finished.get()) is not None:
                    yield scored
                scoring.result()
            finally:
                scoring.cancel()

    async def _score(self, passages: Sequence[Passage], finish: Callable[[Scored], None]) -> None:
        waiting = iter(enumerate(passages))

        async def score_in_turn() -> None:
            for place, passage in waiting:
                finish((place, await api.score(passage) if passage.scored else TokenScores(np.zeros(0))))

        async with self._transport() as transport:
            api = CompletionsApi(transport, self.config, self._model)
            await self._side_by_side(score_in_turn, len(passages))

    async def _side_by_side(self, work: Callable[[], Coroutine[Any, Any, None]], most: int) -> None:
        """As many workers as requests may be in flight."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.config.endpoint.concurrency, most)):
                    group.create_task(work())
        except ExceptionGroup as errors:
            # The first is what went wrong; others are requests that met the same before they were cancelled.
            raise errors.exceptions[0] from None

    async def _ask(
        self,
        requests: Sequence[AnswerRequest],
        prompts: Mapping[Prompt, ServedPrompt],
        finish: Callable[[Outcome], None],
        taken: asyncio.Semaphore,
    ) -> None:
        waiting = until_told(requests)

        async def ask_in_turn() -> None:
            for request in waiting:
                prompt = prompts[request.prompt]
                outcome = await api.complete(request, prompt)
                if prompt.ids is not None and api.takes_ids is False:
                    self.misread.add(request.example_id)
                finish((request, self._ended(outcome, end_texts)))
                await taken.acquire()

        end_texts, end_ids = self._ends()
        async with self._transport() as transport:
            api = CompletionsApi(transport, self.config, self._model, [*end_texts.texts, *self.stops.texts], end_ids)
            await self._side_by_side(ask_in_turn, len(requests))

    def _served_prompts(self, prompts: Sequence[Prompt]) -> dict[Prompt, ServedPrompt]:
        """A prompt goes out as text, which every server takes, or as token ids where its text would be read otherwise."""
        if self.template is None:
            return {prompt: ServedPrompt(prompt.text) for prompt in prompts}
        served = {}
        for prompt, written, ids in zip(prompts, self.written(prompts), self.template.encode(prompts), strict=True):
            other = None if written == prompt.text else ids
            served[prompt] = ServedPrompt(prompt.text, len(ids), other, self._adds_an_end)
        return served

    def _ends(self) -> tuple[StopTexts, list[int]]:
        """Spellings and ids of the end tokens; none where there is only the eos, at which every server stops by itself."""
        others = self.end_tokens - {self.tokenizer.eos_token_id} if self.template else frozenset()
        if not others:
            return StopTexts([]), []
        # A token of the common vocabulary (a line break) has a spelling that others have in them.
        spelled = [text for text, token in self.tokenizer.get_added_vocab().items() if token in others]
        return StopTexts(spelled), sorted(self.end_tokens)

    @property
    def _adds_an_end(self) -> bool:
        """Whether the tokenizer ends every text with a token of its own, as a server with the same one would."""
        (text,), (alone,) = self.tokenizer(["a"]).input_ids, self.tokenizer(["a"], add_special_tokens=False).input_ids
        return bool(text[-len(alone) :] != alone)

    def _ended(self, outcome: Answer | AnswerError, end_texts: StopTexts) -> Answer | AnswerError:
        """The outcome, without an end token that the server has left in the text."""
        if isinstance(outcome, AnswerError):
            return outcome
        cut = end_texts.cut(outcome.text)
        return self.ended(outcome if cut is None else replace(outcome, text=cut, finish_reason=STOP))

    async def _served(self) -> dict[str, int | None]:
        async with self._transport() as transport:
            return await served_models(transport, self.config)

    def _transport(self) -> Transport:
        options = self.config.endpoint
        return Transport(options, os.environ.get(options.api_key_env) or None, self.retry)

    def _choose(self, served: list[str]) -> str:
        """The model to ask for: the one named, else the backbone, else the only one served."""
        if self.config.endpoint.model:
            return self.config.endpoint.model
        if self.config.backbone in served or not self._backbone_is_a_folder():
            return self.config.backbone
        if len(served) == 1:
            return served[0]
        names = ", ".join(served[:10]) or "no list of models"
        raise GeneratorError(f"set `endpoint.model`: {self.config.endpoint.url} offers {names}")

    def _backbone_is_a_folder(self) -> bool:
        return self.config.backbone == EMBEDDED or Path(self.config.backbone).expanduser().is_dir()

    def _open_template(self) -> None:
        """With the backbone's tokenizer, unless it isn't here or, left at its default, isn't what the server runs."""
        if self.config.backbone == EMBEDDED and self._model != EMBEDDED:
            logger.info("`backbone` isn't set: the server of %s counts the tokens", self._model)
        else:
            try:
                path = resolve_backbone(self.config.backbone, self.config.revision)
            except ModelNotFound as error:
                logger.info("the server counts the tokens: %s", error)
            else:
                self.open_template(path)
                self.context_length = self.context_length or context_length(path, self.config.revision)
        if self.template is None and self.config.template == "chat":
            raise GeneratorError(
                "the chat template needs the tokenizer of the model that is served: set `backbone` to its directory or "
                "hub name, or `template: alpaca`"
            )
