"""The completions API of OpenAI-compatible servers: what is asked, and what each kind of reply means."""

import re
from collections.abc import Mapping
from typing import Any

from adg_pipeline.resources.generators.base import (
    Answer,
    AnswerError,
    AnswerRequest,
    GeneratorError,
    GeneratorUnreachable,
)
from adg_pipeline.resources.generators.transport import GaveUp, Refusal, Transient, Transport
from adg_pipeline.settings.sections import GenerationConfig

_TOO_LONG = re.compile(r"context[ _](length|size|window)|maximum model length|prompt is too long", re.IGNORECASE)
_UNKNOWN_FIELD = re.compile(
    r"unknown|unrecogni[sz]ed|unexpected|unsupported|not (supported|permitted|allowed)|extra (inputs|fields)|additional",
    re.IGNORECASE,
)


class CompletionsApi:
    """Completions of one model.

    Beyond OpenAI's own fields it names all that a server would else take from a default of its own: top_k, min_p and
    repetition_penalty (vLLM reads defaults from the model's generation config, llama.cpp has its own). A server that
    doesn't know one of these says so, and it is left out from then on; but a top_k that the configuration asks for
    isn't given up silently.
    """

    def __init__(self, transport: Transport, config: GenerationConfig, model: str) -> None:
        self._transport = transport
        self._config = config
        self._model = model
        self._optional = {"seed", "top_k", "min_p", "repetition_penalty"}

    async def complete(self, request: AnswerRequest) -> Answer | AnswerError:
        """One answer. Raises `GeneratorError` where no request would fare better."""
        while True:
            body = self._body(request)
            reply = await self._transport.send("POST", "/completions", _read_answer, body)
            if isinstance(reply, GaveUp):
                return AnswerError(reply.reason)
            if not isinstance(reply, Refusal):
                return reply
            refuse_for_good(reply, self._transport, self._config, self._model)
            if _TOO_LONG.search(reply.said):
                return AnswerError(reply.said, status="prompt_too_long")
            unknown = {name for name in self._optional & body.keys() if re.search(rf"\b{name}\b", reply.said)}
            if not unknown or not _UNKNOWN_FIELD.search(reply.said):
                return AnswerError(f"HTTP {reply.status}: {reply.said}")
            if "top_k" in unknown and self._config.top_k:
                raise GeneratorError(f"{self._transport.url} doesn't take top_k ({reply.said}): set `top_k: 0`")
            self._optional -= unknown

    def _body(self, request: AnswerRequest) -> dict[str, Any]:
        config = self._config
        optional = {
            "seed": request.seed,
            "top_k": config.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        return {
            "model": self._model,
            "prompt": request.prompt,
            "max_tokens": config.max_new_tokens,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "n": 1,
            **{name: value for name, value in optional.items() if name in self._optional},
        }


async def served_models(transport: Transport, config: GenerationConfig) -> dict[str, int | None]:
    """Models that the server offers, with their context length where told. Empty if it has no such list."""
    reply = await transport.send("GET", "/models", _read_models)
    if isinstance(reply, GaveUp):
        raise GeneratorUnreachable(
            f"{transport.url} can't be reached: {reply.reason}. Start the server or set `endpoint.url`"
        )
    if not isinstance(reply, Refusal):
        return reply
    if reply.status not in (404, 405):
        refuse_for_good(reply, transport, config, "")
    return {}


def refuse_for_good(refusal: Refusal, transport: Transport, config: GenerationConfig, model: str) -> None:
    """Raise `GeneratorError` for what would meet every request: access, quota, a missing model."""
    said = f"It said: {refusal.said}"
    if refusal.status in (401, 403):
        variable = config.endpoint.api_key_env
        mend = f"check the key in {variable}" if transport.key else f"put a key into {variable}"
        raise GeneratorError(f"{transport.url} refuses access (HTTP {refusal.status}): {mend}. {said}")
    if refusal.status == 429:
        raise GeneratorError(f"the quota at {transport.url} is used up. {said}")
    if refusal.status == 404:
        raise GeneratorError(
            f"{transport.url} has no completions for model {model!r} (HTTP 404): correct `endpoint.model`, or "
            f"`endpoint.url`, which ends in /v1. {said}"
        )


def _read_answer(reply: Mapping[str, Any]) -> Answer:
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or not isinstance(choice.get("text"), str):
        raise Transient("the reply holds no choice with a text")
    usage = reply.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Answer(
        choice["text"],
        choice.get("finish_reason") or "unknown",
        _count(usage.get("completion_tokens")),
        _count(usage.get("prompt_tokens")),
    )


def _read_models(reply: Mapping[str, Any]) -> dict[str, int | None]:
    entries = reply.get("data")
    named = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {entry["id"]: _count(entry.get("max_model_len")) for entry in named if isinstance(entry.get("id"), str)}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
