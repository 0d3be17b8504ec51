"""The completions API of OpenAI-compatible servers: what is asked, and what each kind of reply means."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adg_pipeline.resources.generators.base import (
    LOCAL_SCORER,
    Answer,
    AnswerError,
    AnswerRequest,
    GeneratorError,
    GeneratorUnreachable,
    Passage,
    TokenScores,
)
from adg_pipeline.resources.generators.endings import ending
from adg_pipeline.resources.generators.transport import GaveUp, Refusal, Transient, Transport
from adg_pipeline.settings.sections import GenerationConfig

_TOO_LONG = re.compile(r"context[ _](length|size|window)|maximum model length|prompt is too long", re.IGNORECASE)
_UNKNOWN_FIELD = re.compile(
    r"unknown|unrecogni[sz]ed|unexpected|unsupported|not (supported|permitted|allowed)|extra (inputs|fields)|additional",
    re.IGNORECASE,
)

# OpenAI's own servers take no more stop texts than these. What a server goes on past is cut off here.
_MOST_STOPS = 4

# Tokens by which a server may count a prompt shorter than we do: a BOS and an EOS that it adds, or doesn't.
_ADDED_TOKENS = 2


@dataclass(frozen=True, slots=True)
class ServedPrompt:
    """A prompt as a server gets it.

    tokens: its length as counted here, None without the model's tokenizer. ids: its token ids, where the server would
    make others of the text. must_be_ids: the text would get no answer of use.
    """

    text: str
    tokens: int | None = None
    ids: Sequence[int] | None = None
    must_be_ids: bool = False


class CompletionsApi:
    """Completions of one model.

    Beyond OpenAI's own fields it names all that a server would else take from a default of its own: top_k, min_p and
    repetition_penalty (vLLM reads defaults from the model's generation config, llama.cpp has its own). A server that
    doesn't know one of these says so, and it is left out from then on; but a top_k that the configuration asks for
    isn't given up silently.

    Args:
        stops: texts that end an answer. Only the first few are sent: whoever asks cuts the answer itself.
        stop_token_ids: tokens that end one, for servers that know this field.
    """

    def __init__(
        self,
        transport: Transport,
        config: GenerationConfig,
        model: str,
        stops: Sequence[str] = (),
        stop_token_ids: Sequence[int] = (),
    ) -> None:
        self._transport = transport
        self._config = config
        self._model = model
        self._ends: dict[str, Any] = {}
        if stops:
            self._ends["stop"] = list(stops[:_MOST_STOPS])
        if stop_token_ids:
            self._ends["stop_token_ids"] = list(stop_token_ids)
        self._optional = {"seed", "top_k", "min_p", "repetition_penalty", "stop_token_ids", "logprobs"}
        #: Whether the server takes prompts as token ids; None until one was sent.
        self.takes_ids: bool | None = None

    async def complete(self, request: AnswerRequest, prompt: ServedPrompt) -> Answer | AnswerError:
        """One answer. Raises `GeneratorError` where no request would fare better."""
        while True:
            body = self._body(request, prompt)
            reply = await self._transport.send("POST", "/completions", _read_answer, body)
            if isinstance(reply, GaveUp):
                return AnswerError(reply.reason)
            as_ids = body["prompt"] is not prompt.text
            if not isinstance(reply, Refusal):
                self.takes_ids = True if as_ids else self.takes_ids
                return _unless_cut(reply, prompt.tokens)
            refuse_for_good(reply, self._transport, self._config, self._model)
            if _TOO_LONG.search(reply.said):
                return AnswerError(reply.said, status="prompt_too_long")
            named = {name for name in self._optional & body.keys() if re.search(rf"\b{name}\b", reply.said)}
            # Whatever a server has against log-probabilities, an answer is had without them.
            if unknown := named if _UNKNOWN_FIELD.search(reply.said) else named & {"logprobs"}:
                if "top_k" in unknown and self._config.top_k:
                    raise GeneratorError(f"{self._transport.url} doesn't take top_k ({reply.said}): set `top_k: 0`")
                self._optional -= unknown
            elif as_ids and not self.takes_ids:
                if prompt.must_be_ids:
                    raise GeneratorError(
                        f"the tokenizer of {self._model} ends every text with an end token, prompts too, and "
                        f"{self._transport.url} takes no token ids ({reply.said}): set `add_eos_token` of the served "
                        "model's tokenizer to false"
                    )
                self.takes_ids = False
            else:
                return AnswerError(f"HTTP {reply.status}: {reply.said}")

    async def score(self, passage: Passage) -> TokenScores | AnswerError:
        """Scores of a passage, by having the server echo it. Raises `GeneratorError` where it tells none."""
        ids = [*passage.context, *passage.scored]
        body = {
            "model": self._model,
            "prompt": ids,
            "max_tokens": 0,
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
        }
        reply = await self._transport.send("POST", "/completions", _read_scores, body)
        if isinstance(reply, Refusal):
            refuse_for_good(reply, self._transport, self._config, self._model)
            if _TOO_LONG.search(reply.said):
                return AnswerError(reply.said, status="prompt_too_long")
        elif isinstance(reply, GaveUp) and "echo" not in reply.reason:  # which llama.cpp refuses as a fault of its own
            return AnswerError(reply.reason)
        if isinstance(reply, Refusal | GaveUp):
            said = reply.said if isinstance(reply, Refusal) else reply.reason
            raise GeneratorError(f"{self._transport.url} doesn't score a given text ({said}): {LOCAL_SCORER}")
        own = [value for value in reply[len(passage.context) : len(ids)] if value is not None]
        if len(own) < len(passage.scored) - (not passage.context):
            raise GeneratorError(
                f"{self._transport.url} doesn't echo log-probabilities of a given text: {LOCAL_SCORER}"
            )
        return TokenScores(np.array(own, dtype=np.float64))

    def _body(self, request: AnswerRequest, prompt: ServedPrompt) -> dict[str, Any]:
        config = self._config
        optional = {
            "seed": request.seed,
            "top_k": config.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "logprobs": 1,  # with the likeliest beside the drawn one: none at all is no log-probabilities to llama.cpp
            **self._ends,
        }
        as_ids = prompt.ids is not None and self.takes_ids is not False
        return {
            "model": self._model,
            "prompt": list(prompt.ids or ()) if as_ids else prompt.text,
            "max_tokens": config.max_new_tokens,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "n": 1,
            **{name: value for name, value in optional.items() if name in self._optional or name == "stop"},
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
    said = choice.get("finish_reason")
    finish_reason = ending(said)
    if finish_reason is None:
        raise Transient(f"the server ended the answer with {said!r}" if said else "the reply has no finish_reason")
    usage = reply.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Answer(
        choice["text"],
        finish_reason,
        _count(usage.get("completion_tokens")),
        _count(usage.get("prompt_tokens")),
        _mean_logprob(choice),
    )


def _read_scores(reply: Mapping[str, Any]) -> list[float | None]:
    """Log-probabilities of an echoed text's tokens; empty where the server tells none."""
    choices = reply.get("choices")
    return _token_logprobs(choices[0] if isinstance(choices, list) and choices else {})


def _mean_logprob(choice: Mapping[str, Any]) -> float | None:
    told = [value for value in _token_logprobs(choice) if value is not None]
    return sum(told) / len(told) if told else None


def _token_logprobs(choice: Mapping[str, Any]) -> list[float | None]:
    """As OpenAI's completions tell them, or (llama.cpp) as its chats do."""
    told = choice.get("logprobs")
    told = told if isinstance(told, dict) else {}
    values, entries = told.get("token_logprobs"), told.get("content")
    if not isinstance(values, list) and isinstance(entries, list):
        values = [entry.get("logprob") for entry in entries if isinstance(entry, dict)]
    return values if isinstance(values, list) else []


def _unless_cut(answer: Answer, tokens: int | None) -> Answer | AnswerError:
    """The answer, unless the server has read less of the prompt than was sent: some cut a long one without a word."""
    told = answer.prompt_tokens
    if tokens is None or not told or told >= tokens - _ADDED_TOKENS:
        return answer
    return AnswerError(f"the server read {told:,} of {tokens:,} tokens: raise its context")


def _read_models(reply: Mapping[str, Any]) -> dict[str, int | None]:
    entries = reply.get("data")
    named = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {entry["id"]: _count(entry.get("max_model_len")) for entry in named if isinstance(entry.get("id"), str)}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
