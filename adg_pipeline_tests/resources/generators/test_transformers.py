"""The transformers generator, on real if tiny models."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adg_pipeline.resources.generators import decoding
from adg_pipeline.resources.generators import transformers as engine
from adg_pipeline.resources.generators.base import Answer, AnswerRequest, Generator
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.generators.sampling import draw_tokens, uniform_streams
from adg_pipeline.settings.sections import GenerationConfig

from .conftest import Requests


def answers(generator: Generator, requests: list[AnswerRequest]) -> dict[str, Answer]:
    had = {request.request_id: answer for request, answer in generator.generate(requests)}
    assert len(had) == len(requests)
    return {name: answer for name, answer in had.items() if isinstance(answer, Answer)}


def test_answers_do_not_depend_on_batch_or_order(tiny_model: str, requests_for: Requests) -> None:
    config = GenerationConfig(backbone=tiny_model, samples=3, max_new_tokens=24)
    with open_generator(config) as generator:
        requests = requests_for(generator)
        together = answers(generator, requests)
        shuffled = random.Random(1).sample(requests, len(requests))
        alone = {name: answer for request in shuffled[:7] for name, answer in answers(generator, [request]).items()}
    with open_generator(config.model_copy(update={"batch_size": 2})) as generator:
        in_pairs = answers(generator, shuffled)
    assert together == in_pairs
    assert alone.items() <= together.items()
    assert len({answer.text for answer in together.values()}) == len(requests)


def test_answers_do_not_depend_on_the_number_of_cores(tiny_llama: str, requests_for: Requests) -> None:
    config = GenerationConfig(backbone=tiny_llama, samples=3, max_new_tokens=24)
    with open_generator(config) as generator:
        with_one = answers(generator, requests_for(generator))
    torch.set_num_threads(3)
    with open_generator(config) as generator:
        assert answers(generator, requests_for(generator)) == with_one
        assert torch.get_num_threads() == 1  # each core decodes a batch of its own
    assert torch.get_num_threads() == 3


def test_samples_asked_for_later_are_those_of_a_larger_k(tiny_llama: str, requests_for: Requests) -> None:
    with open_generator(GenerationConfig(backbone=tiny_llama, samples=4, max_new_tokens=16)) as generator:
        requests = requests_for(generator)
        together = answers(generator, requests)
        later = answers(generator, [request for request in requests if request.sample_index >= 2])
    assert later.items() <= together.items()


def test_most_likely_tokens_are_those_of_generate(tiny_model: str, requests_for: Requests) -> None:
    """With top_k 1, across several growths of the cache, against transformers' own greedy search."""
    config = GenerationConfig(backbone=tiny_model, samples=2, top_k=1, max_new_tokens=80, dtype="float64")
    with open_generator(config) as generator:
        requests = requests_for(generator)[:8:2]
        had = answers(generator, requests)
        model, tokenizer = generator._model, generator.tokenizer
        for request in requests:
            ids = torch.tensor([tokenizer(request.prompt).input_ids])
            tokens = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=80)
            expected = tokenizer.decode(tokens[0, ids.shape[1] :], skip_special_tokens=True)
            assert had[request.request_id].text == expected


def test_first_tokens_follow_the_warped_distribution(tiny_llama: str) -> None:
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    config = GenerationConfig(backbone=tiny_llama, max_new_tokens=1, temperature=0.7, top_k=20, top_p=0.8)
    with open_generator(config) as generator:
        prompt = generator.render("Name three colours.")
        requests = [AnswerRequest("row", index, prompt, index, str(index)) for index in range(4000)]
        drawn = Counter(answer.text for answer in answers(generator, requests).values())
        ids = torch.tensor([generator.tokenizer(prompt).input_ids])
        logits = generator._model(ids).logits[:, -1]
        for warper in (TemperatureLogitsWarper(0.7), TopKLogitsWarper(20), TopPLogitsWarper(0.8)):
            logits = warper(ids, logits)
        expected: Counter[str] = Counter()
        for token, share in enumerate(logits.softmax(-1)[0].tolist()):
            expected[generator.tokenizer.decode([token], skip_special_tokens=True)] += share
    assert set(drawn) <= {text for text, share in expected.items() if share > 0}
    distance = sum(abs(drawn[text] / 4000 - share) for text, share in expected.items()) / 2
    assert distance < 0.03  # 4,000 draws of some ten tokens are off by about 0.015


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (0, 0.5), (5, 1.0), (7, 0.9), (1, 0.1), (500, 0.99)])
def test_tokens_that_can_be_drawn_are_those_the_warpers_keep(top_k: int, top_p: float) -> None:
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    logits = torch.randn(1, 60, generator=torch.Generator().manual_seed(3)) * 2
    warped = TopPLogitsWarper(top_p)(None, TopKLogitsWarper(top_k)(None, logits) if top_k else logits)
    uniforms = torch.linspace(0, 1 - 1e-12, 20_000, dtype=torch.float64)
    drawn = draw_tokens(logits.expand(20_000, -1), uniforms, 1.0, top_k, top_p)
    shares = torch.bincount(drawn, minlength=60) / 20_000
    assert torch.allclose(shares, warped.softmax(-1)[0], atol=2e-4)


def test_streams_of_a_seed_do_not_depend_on_company_or_length() -> None:
    both = uniform_streams([7, 8], 50)
    assert np.array_equal(uniform_streams([8], 20)[0], both[1, :20])
    assert not np.array_equal(both[0], both[1])


def test_answer_ends_at_the_end_token_or_at_max_new_tokens(tiny_llama: str, requests_for: Requests) -> None:
    with open_generator(
        GenerationConfig(backbone=tiny_llama, max_new_tokens=120, temperature=3.0, top_k=0)
    ) as generator:
        had = answers(generator, requests_for(generator)).values()
    reasons = Counter(answer.finish_reason for answer in had)
    assert set(reasons) == {"stop", "length"}
    for answer in had:
        assert answer.output_tokens is not None
        assert (answer.output_tokens == 120) or answer.finish_reason == "stop"
        assert "</s>" not in answer.text


def test_model_without_end_or_padding_token_runs_to_the_limit(
    tiny_llama: str, tmp_path: Path, requests_for: Requests
) -> None:
    import json

    folder = Path(shutil.copytree(tiny_llama, tmp_path / "endless"))
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        values = json.loads((folder / name).read_text())
        kept = {key: value for key, value in values.items() if key.split("_")[0] not in ("eos", "pad")}
        (folder / name).write_text(json.dumps(kept))
    with open_generator(GenerationConfig(backbone=str(folder), max_new_tokens=9)) as generator:
        had = answers(generator, requests_for(generator)).values()
    assert {(answer.finish_reason, answer.output_tokens) for answer in had} == {("length", 9)}


def test_out_of_memory_halves_the_batch_and_loses_nothing(
    tiny_llama: str, requests_for: Requests, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A small device, played by a decoder that gives up midway through batches of more than six rows."""
    decode: Callable[..., Iterator[tuple[int, list[int]]]] = decoding.decode_batch

    def decode_on_small_device(model: Any, prompts: Any, parents: Any, *rest: Any) -> Iterator[tuple[int, list[int]]]:
        for number, ended in enumerate(decode(model, prompts, parents, *rest)):
            if len(parents) > 6 and number == 2:
                raise torch.OutOfMemoryError
            yield ended

    with open_generator(GenerationConfig(backbone=tiny_llama, samples=3, max_new_tokens=8)) as generator:
        requests = requests_for(generator)
        expected = answers(generator, requests)
        monkeypatch.setattr(engine, "decode_batch", decode_on_small_device)
        assert answers(generator, requests) == expected
    assert "lower batch_size" in caplog.text


def test_reproducibility_says_what_the_type_allows(tiny_llama: str) -> None:
    with open_generator(GenerationConfig(backbone=tiny_llama)) as generator:
        assert "whatever shares its batch" in generator.reproducibility
    with open_generator(GenerationConfig(backbone=tiny_llama, dtype="bfloat16")) as generator:
        assert "can change a draw" in generator.reproducibility


def test_closing_twice_is_allowed(tiny_llama: str) -> None:
    generator = open_generator(GenerationConfig(backbone=tiny_llama))
    with generator:
        assert generator.context_length == 2048
    generator.close()
