"""A real `vllm serve` on the loopback interface, asked by the endpoint generator."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline.resources.generators.base import (
    Answer,
    AnswerError,
    AnswerRequest,
    Generator,
    GeneratorError,
    Passage,
    TokenScores,
)
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.settings.sections import EndpointOptions, GenerationConfig
from adg_pipeline_tests.vllm.comparing import require_alike

KEY = "test-key"
INSTRUCTIONS = ("Name a colour.", "Reverse the word sea.", "What is 3 plus 4?")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "vllm.log"
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    # What `vllm serve` runs. The command itself looks up its version under the name "vllm", which a CPU build hasn't.
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(EMBEDDED_FOLDER),
        "--served-model-name", "tiny",
        "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY, "--max-model-len", "256", "--dtype", "float32",
        "--enforce-eager", "--no-enable-chunked-prefill",
    ]  # fmt: skip
    with log.open("wb") as stream:
        server = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 300
        while not _healthy(port):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(30)


def _healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADG_ENDPOINT_API_KEY", KEY)


def config(url: str, model: str | None = None, **options: Any) -> GenerationConfig:
    endpoint = EndpointOptions(url=url, model=model, concurrency=8, max_attempts=2)
    values = {"backbone": str(EMBEDDED_FOLDER), "max_new_tokens": 16, **options}
    return GenerationConfig(engine="endpoint", endpoint=endpoint, **values)


def ask(generator: Generator, instruction: str = "Name a colour.", count: int = 10) -> list[Answer | AnswerError]:
    prompt = generator.render(instruction)
    requests = [AnswerRequest("row", seed, prompt, seed, str(seed)) for seed in range(count)]
    had = {request.sample_index: outcome for request, outcome in generator.generate(requests)}
    return [had[index] for index in range(count)]


def test_samples_differ_by_seed_and_come_again(url: str) -> None:
    with open_generator(config(url)) as generator:
        first = ask(generator)
        assert ask(generator) == first
    texts = [outcome.text for outcome in first if isinstance(outcome, Answer)]
    assert len(texts) == 10
    assert len(set(texts)) > 5


def test_prompt_is_counted_here_as_on_the_server(url: str) -> None:
    with open_generator(config(url)) as generator:
        assert generator.context_length == 256
        (answer,) = ask(generator, count=1)
        assert isinstance(answer, Answer)
        assert [answer.prompt_tokens] == generator.count_tokens([generator.render("Name a colour.")])


@pytest.mark.parametrize("template", ["alpaca", "chat"])
def test_most_likely_tokens_are_those_of_transformers(url: str, template: str) -> None:
    greedy = {"top_k": 1, "template": template}
    with (
        open_generator(config(url, **greedy)) as served,
        open_generator(GenerationConfig(engine="transformers", dtype="float32", max_new_tokens=16, **greedy)) as here,
    ):
        for instruction in INSTRUCTIONS:
            require_alike(ask(served, instruction, 1), ask(here, instruction, 1))


def test_prompt_too_long_for_the_server_is_told_apart(url: str) -> None:
    with open_generator(config(url, model="tiny", backbone="embedded")) as generator:
        assert (
            generator.count_tokens([generator.render("a")]) is None
        )  # a model that isn't the backbone named: only the server counts
        (outcome,) = ask(generator, "word " * 300, 1)
    assert isinstance(outcome, AnswerError)
    assert outcome.status == "prompt_too_long"


def test_stop_texts_and_end_tokens_end_an_answer_as_in_transformers(url: str) -> None:
    stopping = {"top_k": 1, "stop": ["a", "e s", "\n"]}
    with (
        open_generator(config(url, **stopping)) as served,
        open_generator(GenerationConfig(dtype="float32", max_new_tokens=16, **stopping)) as here,
    ):
        had = [ask(served, text, 1) for text in INSTRUCTIONS]
        texts = [[(a.text, a.finish_reason) for a in answers if isinstance(a, Answer)] for answers in had]
        assert texts == [
            [(a.text, a.finish_reason) for a in ask(here, text, 1) if isinstance(a, Answer)] for text in INSTRUCTIONS
        ]


def test_control_token_that_an_instruction_spells_stays_text(url: str) -> None:
    greedy = {"top_k": 1}
    with (
        open_generator(config(url, **greedy)) as served,
        open_generator(GenerationConfig(dtype="float32", max_new_tokens=16, **greedy)) as here,
    ):
        require_alike(ask(served, "Reverse the word <|end|>.", 1), ask(here, "Reverse the word <|end|>.", 1))
        assert served.misread == set()


def test_missing_model_and_wrong_key_stop_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(GeneratorError, match=r"'huge' \(HTTP 404\): correct `endpoint.model`"),
        open_generator(config(url, model="huge")) as generator,
    ):
        ask(generator, count=1)
    monkeypatch.setenv("ADG_ENDPOINT_API_KEY", "wrong-key")
    with pytest.raises(GeneratorError, match="check the key in ADG_ENDPOINT_API_KEY"):
        open_generator(config(url)).open()


def test_server_echoes_log_probabilities_as_transformers_computes_them(url: str) -> None:
    passages = [Passage((5, 6, 7), (8, 9, 10)), Passage((), (8, 9, 10)), Passage((5,), ()), Passage((5,), (8,) * 300)]
    with (
        open_generator(config(url)) as served,
        open_generator(GenerationConfig(engine="transformers", dtype="float32", max_new_tokens=16)) as here,
    ):
        had, expected = dict(served.score(passages, 32)), dict(here.score(passages[:3], 32))
    too_long = had.pop(3)
    assert isinstance(too_long, AnswerError)
    assert too_long.status == "prompt_too_long"
    for place, scores in had.items():
        one = expected[place]
        assert isinstance(scores, TokenScores)
        assert isinstance(one, TokenScores)
        assert scores.logprobs.tolist() == pytest.approx(one.logprobs.tolist(), abs=1e-3)
