"""An engine without a model, for what is the shard's own business: what is asked, what is kept, what is counted."""

import hashlib
from collections.abc import Iterator, Sequence

from adg_pipeline.models.templates import Prompt
from adg_pipeline.resources.generators.base import Answer, AnswerError, AnswerRequest, Generator, Outcome


class ScriptedGenerator(Generator):
    """Answers with a hash of prompt and seed. A prompt that holds FAIL fails, one that holds EMPTY is answered so."""

    reproducibility = "exact"
    context_length = 100

    def open(self) -> None:
        self.fingerprint = {"id": "scripted", "revision": None, "content": "sha256:0"}
        self.asked: list[AnswerRequest] = []

    def close(self) -> None:
        pass

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int] | None:
        return [len(prompt.text.split()) for prompt in prompts]

    def generate(self, requests: Sequence[AnswerRequest]) -> Iterator[Outcome]:
        for request in reversed(requests):
            self.asked.append(request)
            yield request, self.answer(request)

    def answer(self, request: AnswerRequest) -> Answer | AnswerError:
        if "FAIL" in request.prompt.text:
            return AnswerError("the engine gave up")
        if "EMPTY" in request.prompt.text:
            return Answer("", "stop", 1, 3)
        return Answer(hashlib.sha256(f"{request.prompt.text}{request.seed}".encode()).hexdigest(), "stop", 4, 3)
