"""The endpoint generator against a server that misbehaves."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from adg_pipeline.resources.generators.base import (
    Answer,
    AnswerError,
    AnswerRequest,
    GeneratorError,
    Passage,
    TokenScores,
)
from adg_pipeline.resources.generators.endpoint import EndpointGenerator
from adg_pipeline.resources.generators.retry import RetryPolicy
from adg_pipeline.settings.sections import EndpointOptions, GenerationConfig

from . import faulty_server
from .conftest import plain
from .faulty_server import FaultyServer, answer, models, slow, status

KEY = "sk-very-secret"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server.serve() as server:
        yield server


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADG_ENDPOINT_API_KEY", KEY)


def opened(server: FaultyServer, backbone: str = "someone/tiny", **options: Any) -> EndpointGenerator:
    """A generator that waits for milliseconds where another would wait for seconds."""
    settings = {"url": server.url, "model": "tiny", "max_attempts": 4, "timeout_seconds": 5.0, "concurrency": 4}
    values = {name: options.pop(name) for name in list(options) if name in EndpointOptions.model_fields}
    endpoint = EndpointOptions(**{**settings, **values})
    generator = EndpointGenerator(GenerationConfig(engine="endpoint", backbone=backbone, endpoint=endpoint, **options))
    generator.retry = RetryPolicy(endpoint.max_attempts, base_seconds=0.001, cap_seconds=0.5)
    return generator


def replying(text: str, finish_reason: str | None, prompt_tokens: int | None = None) -> faulty_server.Fault:
    reply = {"choices": [{"text": text, "finish_reason": finish_reason}], "usage": {"prompt_tokens": prompt_tokens}}
    return lambda handler: handler.reply(200, reply)


def refuse(*fields: str) -> faulty_server.Fault:
    def reply(handler: faulty_server.Handler) -> None:
        for name in fields:
            if name in handler.body:
                return handler.reply(400, {"error": f"Unrecognized request argument supplied: {name}"})
        return answer(handler)

    return reply


def requests(count: int) -> list[AnswerRequest]:
    return [AnswerRequest(f"row-{n}", 0, plain(f"prompt {n}"), n, str(n)) for n in range(count)]


def ask(generator: EndpointGenerator, count: int = 1) -> dict[str, Answer | AnswerError]:
    with generator:
        return {request.request_id: outcome for request, outcome in generator.generate(requests(count))}


def test_every_request_is_answered_with_its_own_seed(server: FaultyServer) -> None:
    had = ask(opened(server, temperature=1.4, top_p=0.9, top_k=50, max_new_tokens=256), 40)
    assert had == {str(n): Answer(f"prompt {n}/{n}", "stop", 3, 7) for n in range(40)}
    assert server.bodies[0] | {"prompt": "", "seed": 0} == {
        "model": "tiny", "prompt": "", "seed": 0, "n": 1, "max_tokens": 256, "temperature": 1.4, "top_p": 0.9,
        "top_k": 50, "min_p": 0.0, "repetition_penalty": 1.0, "logprobs": 1,
    }  # fmt: skip
    assert server.keys == {f"Bearer {KEY}"}


def test_no_more_requests_in_flight_than_allowed(server: FaultyServer) -> None:
    server.fault = slow(0.02)
    ask(opened(server, concurrency=3), 20)
    assert server.most_in_flight == 3


def test_what_a_kill_can_cost_are_as_many_requests_as_may_be_in_flight(server: FaultyServer) -> None:
    """Also where answers are kept more slowly than they come: one that nobody has kept yet counts as in flight."""
    with opened(server, concurrency=3) as generator:
        for kept, _ in enumerate(generator.generate(requests(20))):
            time.sleep(0.02)
            assert len(server.bodies) <= kept + 3


@pytest.mark.parametrize(
    "fault",
    [
        status(429),
        status(500),
        status(503, Retry_After="0.01"),
        lambda handler: handler.cut(),
        lambda handler: handler.reply(200, b"<html>busy</html>"),
        lambda handler: handler.reply(200, b"[]"),
        lambda handler: handler.reply(200, {"choices": []}),
        lambda handler: handler.reply(200, {"choices": [{"text": None}]}),
        lambda handler: handler.reply(200, {"choices": None}),
        replying("", "content_filter"),
        replying("Hm", "some_new_word"),
        replying("Hm", None),
    ],
    ids=[
        "429", "500", "503", "cut", "not-json", "not-object", "fewer-choices", "no-text", "no-choices", "filtered",
        "unknown-end", "no-end",
    ],
)  # fmt: skip
def test_passing_fault_is_asked_again(server: FaultyServer, fault: faulty_server.Fault) -> None:
    server.faults = [fault, fault]
    assert ask(opened(server)) == {"0": Answer("prompt 0/0", "stop", 3, 7)}
    assert len(server.bodies) == 3


def test_lasting_fault_fails_that_request_with_its_reason(server: FaultyServer) -> None:
    server.fault = status(500, "out of paper")
    assert ask(opened(server)) == {"0": AnswerError("HTTP 500: out of paper (after 4 attempts)")}
    assert len(server.bodies) == 4


def test_answer_that_a_server_withholds_fails_with_its_word(server: FaultyServer) -> None:
    server.fault = replying("", "content_filter")
    reason = "the server ended the answer with 'content_filter' (after 4 attempts)"
    assert ask(opened(server)) == {"0": AnswerError(reason)}


@pytest.mark.parametrize(("said", "meant"), [("eos_token", "stop"), ("MAX_TOKENS", "length"), ("tool_calls",) * 2])
def test_end_of_an_answer_is_told_in_one_word(server: FaultyServer, said: str, meant: str) -> None:
    server.fault = replying("Hm", said)
    assert ask(opened(server)) == {"0": Answer("Hm", meant, None, None)}


@pytest.mark.parametrize(
    ("told", "fails"), [(64, True), (522, True), (523, False), (525, False), (540, False), (None, False)]
)
def test_prompt_that_a_server_cuts_silently_fails(
    server: FaultyServer, tiny_llama: str, told: int | None, fails: bool
) -> None:
    server.fault = replying("Hm", "stop", told)
    with opened(server, backbone=tiny_llama) as generator:
        prompt = plain("a b " * 300)
        (own,) = generator.count_tokens([prompt]) or []
        server.fault = replying("Hm", "stop", told if told is None else own - 525 + told)
        ((_, outcome),) = generator.generate([AnswerRequest("row", 0, prompt, 0, "0")])
    if fails:
        assert outcome == AnswerError(f"the server read {own - 525 + told:,} of {own:,} tokens: raise its context")
    else:
        assert isinstance(outcome, Answer)


def test_without_the_tokenizer_no_prompt_is_said_to_be_cut(server: FaultyServer) -> None:
    server.fault = replying("Hm", "stop", 1)
    with opened(server) as generator:
        ((_, outcome),) = generator.generate([AnswerRequest("row", 0, plain("word " * 500), 0, "0")])
    assert outcome == Answer("Hm", "stop", None, 1)


def test_answer_is_cut_before_a_stop_text_whatever_the_server_makes_of_it(server: FaultyServer) -> None:
    server.fault = replying("Blue.\n\n### Instruction:\nName", "length")
    assert ask(opened(server, stop="auto")) == {"0": Answer("Blue.", "stop", None, None)}
    assert len(server.bodies[0]["stop"]) == 4  # OpenAI takes no more
    assert "\n\n### Instruction:" in server.bodies[0]["stop"]


def test_server_is_told_which_token_ends_a_turn(server: FaultyServer, chatml_model: str) -> None:
    server.faults = [refuse("stop_token_ids")]
    server.fault = replying("Blue.<|im_end|>\n<|im_start|>user", "length")
    with opened(server, backbone=chatml_model, template="chat") as generator:
        ends = generator.tokenizer.convert_tokens_to_ids(["</s>", "<|im_end|>"])
        request = AnswerRequest("row", 0, generator.render("Name a colour."), 0, "0")
        ((_, outcome),) = generator.generate([request])
    assert outcome == Answer("Blue.", "stop", None, None)
    assert (server.bodies[0]["stop_token_ids"], server.bodies[0]["stop"]) == (ends, ["<|im_end|>"])
    assert "stop_token_ids" not in server.bodies[1]  # it was refused by name, and the text does


def test_prompt_that_spells_a_control_token_is_sent_as_tokens(server: FaultyServer, chatml_model: str) -> None:
    with opened(server, backbone=chatml_model, template="chat") as generator:
        prompts = [generator.render(text) for text in ("Name a colour.", "What does <|im_end|> do?")]
        assert generator.template is not None
        _, ids = generator.template.encode(prompts)
        list(generator.generate([AnswerRequest(f"row-{n}", 0, prompt, n, str(n)) for n, prompt in enumerate(prompts)]))
        assert generator.misread == set()
    sent = {body["seed"]: body["prompt"] for body in server.bodies}
    assert sent == {0: prompts[0].text, 1: ids}


def test_server_that_takes_text_only_reads_control_tokens_and_that_is_counted(
    server: FaultyServer, chatml_model: str
) -> None:
    def only_text(handler: faulty_server.Handler) -> None:
        text = isinstance(handler.body["prompt"], str)
        (
            replying("It ends.", "stop")
            if text
            else status(400, "cannot unmarshal array into field prompt of type string")
        )(handler)

    server.fault = only_text
    with opened(server, backbone=chatml_model, template="chat", concurrency=1) as generator:
        prompts = [generator.render(f"What does <|im_end|> do {n}?") for n in range(3)]
        asked = [AnswerRequest(f"row-{n}", 0, prompt, n, str(n)) for n, prompt in enumerate(prompts)]
        assert {type(outcome) for _, outcome in generator.generate(asked)} == {Answer}
        assert generator.misread == {"row-0", "row-1", "row-2"}
    assert len(server.bodies) == 4  # one refusal is enough


def test_tokenizer_that_ends_every_text_needs_a_server_that_takes_tokens(
    server: FaultyServer, eos_adding_model: str
) -> None:
    server.fault = status(400, "prompt must be a string")
    with (
        opened(server, backbone=eos_adding_model) as generator,
        pytest.raises(GeneratorError, match=r"ends every text with an end token.*add_eos_token"),
    ):
        list(generator.generate([AnswerRequest("row", 0, generator.render("Hi"), 0, "0")]))


def test_reply_past_the_time_limit_is_asked_again(server: FaultyServer) -> None:
    server.faults = [slow(0.6)]
    assert ask(opened(server, timeout_seconds=0.3)) == {"0": Answer("prompt 0/0", "stop", 3, 7)}


def test_empty_answer_is_an_answer(server: FaultyServer) -> None:
    server.fault = lambda handler: handler.reply(200, {"choices": [{"text": "", "finish_reason": "stop"}]})
    assert ask(opened(server)) == {"0": Answer("", "stop", None, None)}


@pytest.mark.parametrize("code", [401, 403])
def test_refused_key_stops_at_once_and_is_not_shown(
    server: FaultyServer, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.fault = status(code, f"wrong key {KEY}")
    with pytest.raises(GeneratorError, match=r"check the key in ADG_ENDPOINT_API_KEY.*wrong key \*\*\*") as caught:
        ask(opened(server, concurrency=1), 50)
    assert len(server.bodies) == 1
    assert KEY not in str(caught.value) + caplog.text


def test_missing_key_names_the_variable(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADG_ENDPOINT_API_KEY")
    server.on_models = status(401)
    with pytest.raises(GeneratorError, match="put a key into ADG_ENDPOINT_API_KEY"):
        opened(server).open()


def test_missing_model_stops_at_once(server: FaultyServer) -> None:
    server.fault = status(404, "The model `tiny` does not exist.")
    with pytest.raises(GeneratorError, match=r"no completions for model 'tiny' \(HTTP 404\): correct `endpoint.model`"):
        ask(opened(server, concurrency=1), 50)
    assert len(server.bodies) == 1


def test_used_up_quota_is_not_waited_for(server: FaultyServer) -> None:
    server.fault = lambda handler: handler.reply(429, {"error": {"message": "pay", "code": "insufficient_quota"}})
    with pytest.raises(GeneratorError, match="quota"):
        ask(opened(server))
    assert len(server.bodies) == 1


def test_what_finished_before_the_stop_is_handed_over(server: FaultyServer) -> None:
    server.faults = [answer, answer, status(401)]
    had = []
    with opened(server, concurrency=1) as generator, pytest.raises(GeneratorError):
        had += list(generator.generate(requests(1)))
        for outcome in generator.generate(requests(10)):
            had.append(outcome)
    assert len(had) == 2


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 128 tokens. However, you requested 300 tokens",
        "the request exceeds the available context size, try increasing it",
        "context_length_exceeded",
    ],
)
def test_server_that_finds_a_prompt_too_long_is_believed(server: FaultyServer, message: str) -> None:
    server.fault = status(400, message)
    assert ask(opened(server)) == {"0": AnswerError(message, "prompt_too_long")}
    assert len(server.bodies) == 1


def test_other_bad_request_fails_without_another_attempt(server: FaultyServer) -> None:
    server.fault = status(400, "the prompt offends our policy")
    assert ask(opened(server)) == {"0": AnswerError("HTTP 400: the prompt offends our policy")}
    assert len(server.bodies) == 1


def test_fields_a_server_does_not_know_are_left_out_from_then_on(server: FaultyServer) -> None:
    server.fault = refuse("min_p", "repetition_penalty", "top_k")
    had = ask(opened(server, top_k=0, concurrency=1), 10)
    assert all(isinstance(outcome, Answer) for outcome in had.values())
    assert len(server.bodies) == 13


@pytest.mark.parametrize(
    "message",
    ["Unrecognized request argument supplied: logprobs", "logprobs must be a boolean", "logprobs: none for this model"],
)
def test_answers_are_had_from_a_server_that_refuses_log_probabilities(server: FaultyServer, message: str) -> None:
    server.fault = lambda handler: (
        status(400, message)(handler) if "logprobs" in handler.body else answer(handler)
    )  # fmt: skip
    had = ask(opened(server, concurrency=1), 3)
    assert had == {str(n): Answer(f"prompt {n}/{n}", "stop", 3, 7) for n in range(3)}
    assert len(server.bodies) == 4


@pytest.mark.parametrize(
    "told",
    [
        {"token_logprobs": [-1.0, -0.5, -3.0], "tokens": ["a", "b", "c"]},
        {"content": [{"token": "a", "logprob": value} for value in (-1.0, -0.5, -3.0)]},
    ],
    ids=["completions", "as-chats"],
)
def test_an_answer_has_the_mean_log_probability_of_its_tokens(server: FaultyServer, told: dict[str, Any]) -> None:
    choice = {"text": "Red.", "finish_reason": "stop", "logprobs": told}
    server.fault = lambda handler: handler.reply(200, {"choices": [choice]})
    assert ask(opened(server)) == {"0": Answer("Red.", "stop", None, None, -1.5)}


@pytest.mark.parametrize("told", [None, {}, {"token_logprobs": None}, {"content": []}, [], "none"])
def test_a_server_that_tells_no_log_probabilities_has_answered_all_the_same(server: FaultyServer, told: Any) -> None:
    server.fault = lambda handler: handler.reply(
        200, {"choices": [{"text": "Red.", "finish_reason": "stop", "logprobs": told}]}
    )
    assert ask(opened(server)) == {"0": Answer("Red.", "stop", None, None)}


PASSAGES = [Passage((1, 2), (3, 4, 5)), Passage((), (6, 7)), Passage((8,), ())]


def scores(generator: EndpointGenerator) -> dict[int, TokenScores | AnswerError]:
    with generator:
        return dict(generator.score(PASSAGES, 32))


def test_a_server_scores_a_text_by_echoing_it(server: FaultyServer) -> None:
    """The first token has no log-probability; those of the context are not counted, nor one that was drawn all the same."""

    def echo(handler: faulty_server.Handler) -> None:
        told = [None, *(-0.1 * token for token in [*handler.body["prompt"], 99][1:])]
        handler.reply(200, {"choices": [{"text": "", "finish_reason": "length", "logprobs": {"token_logprobs": told}}]})

    server.fault = echo
    had = scores(opened(server))
    assert {place: one.logprobs.round(6).tolist() for place, one in had.items() if isinstance(one, TokenScores)} == {
        0: [-0.3, -0.4, -0.5], 1: [-0.7], 2: [],
    }  # fmt: skip
    body = next(body for body in server.bodies if len(body["prompt"]) == 5)
    assert body == {
        "model": "tiny", "prompt": [1, 2, 3, 4, 5], "max_tokens": 0, "temperature": 0.0, "echo": True, "logprobs": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        status(400, "echo is not supported"),
        status(500, "Only no echo is supported"),  # as llama.cpp says it
        replying("", "stop"),
        lambda handler: handler.reply(200, {"choices": [{"logprobs": {"token_logprobs": [-1.0]}}]}),
        lambda handler: handler.reply(200, {}),
    ],
    ids=["refused", "refused-as-a-fault", "ignored", "of-drawn-tokens", "nothing"],
)
def test_a_server_that_scores_no_given_text_names_a_scorer_that_does(
    server: FaultyServer, fault: faulty_server.Fault
) -> None:
    server.fault = fault
    with pytest.raises(GeneratorError, match=r"set `reference_losses.engine` to transformers or vllm"):
        scores(opened(server))


def test_a_text_that_a_server_finds_too_long_is_told_apart(server: FaultyServer) -> None:
    server.fault = status(400, "This model's maximum context length is 4 tokens")
    had = scores(opened(server))
    assert [one.status for one in had.values() if isinstance(one, AnswerError)] == ["prompt_too_long"] * 2


def test_a_scorer_that_is_down_fails_the_text(server: FaultyServer) -> None:
    server.fault = status(503)
    had = scores(opened(server, max_attempts=2))
    assert [one.status for one in had.values() if isinstance(one, AnswerError)] == ["failed"] * 2


def test_top_k_that_is_asked_for_is_not_given_up_silently(server: FaultyServer) -> None:
    server.fault = refuse("top_k")
    with pytest.raises(GeneratorError, match=r"doesn't take top_k .*: set `top_k: 0`"):
        ask(opened(server, top_k=50))


def test_overload_lowers_the_requests_in_flight(server: FaultyServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server.faults = [status(429)] * 16
    server.fault = slow(0.01)
    had = ask(opened(server, concurrency=16), 60)
    assert all(isinstance(outcome, Answer) for outcome in had.values())
    assert "at most 8 requests in flight" in caplog.text


def test_leaving_early_drops_the_rest(server: FaultyServer) -> None:
    server.fault = slow(0.02)
    with opened(server, concurrency=2) as generator:
        outcomes = generator.generate(requests(100))
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]
    assert len(server.bodies) < 20


def test_server_that_is_down_is_named(server: FaultyServer) -> None:
    with pytest.raises(GeneratorError, match=r"127\.0\.0\.1:9/v1 can't be reached: ConnectError"):
        opened(server, url="http://127.0.0.1:9/v1").open()


def test_password_in_the_url_is_refused(server: FaultyServer) -> None:
    with pytest.raises(GeneratorError, match="put it into ADG_ENDPOINT_API_KEY") as caught:
        opened(server, url="http://me:hunter2@127.0.0.1/v1").open()
    assert "hunter2" not in str(caught.value)


def test_server_without_a_list_of_models_is_asked_for_the_one_named(server: FaultyServer) -> None:
    server.on_models = status(404)
    assert len(ask(opened(server))) == 1


def test_only_model_served_is_the_backbone_that_lies_here(server: FaultyServer, tiny_llama: str) -> None:
    server.on_models = models("somewhere/else", context_length=64)
    with opened(server, backbone=tiny_llama, model=None) as generator:
        list(generator.generate(requests(1)))
        assert generator.context_length == 64
        assert generator.count_tokens([plain("one two")]) == [len(generator.tokenizer("one two").input_ids)]
    assert server.bodies[0]["model"] == "somewhere/else"


def test_choice_between_several_models_is_the_users(server: FaultyServer, tiny_llama: str) -> None:
    server.on_models = models("one", "two")
    with pytest.raises(GeneratorError, match=r"set `endpoint.model`: .* offers one, two"):
        opened(server, backbone=tiny_llama, model=None).open()


def test_prompts_are_not_counted_with_another_models_tokenizer(server: FaultyServer) -> None:
    with opened(server, backbone="embedded") as generator:
        assert generator.count_tokens([plain("one")]) is None
        assert generator.context_length is None


def test_chat_template_needs_the_tokenizer(server: FaultyServer) -> None:
    with pytest.raises(GeneratorError, match="set `backbone` to its directory"):
        opened(server, template="chat").open()
