"""Log-probabilities of given texts: those of the model, whatever shares a batch, and those that sampling tells itself."""

import numpy as np
import pytest

from adg_pipeline.models.backbones import EMBEDDED
from adg_pipeline.resources.generators.base import Answer, Passage, TokenScores
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline.settings.sections import GenerationConfig
from adg_pipeline_tests.resources.generators.conftest import Requests


def opened(model: str, batch_size: int = 64) -> TransformersGenerator:
    return TransformersGenerator(
        GenerationConfig(backbone=model, max_new_tokens=8, samples=2, batch_size=batch_size, device="cpu")
    )


def test_scores_are_those_of_one_forward_pass(tiny_model: str) -> None:
    import torch

    passage = Passage((5, 6, 7), (8, 9, 10, 11))
    with opened(tiny_model) as generator:
        ((_, scores),) = generator.score([passage], 32)
        with torch.inference_mode():
            logits = generator._model(torch.tensor([[*passage.context, *passage.scored]])).logits[0]
    assert isinstance(scores, TokenScores)
    assert scores.entropies is not None
    expected = logits.double().log_softmax(-1)[2:6]
    np.testing.assert_allclose(scores.logprobs, [expected[place, token] for place, token in enumerate(passage.scored)])
    np.testing.assert_allclose(scores.entropies, -(expected.exp() * expected).sum(-1), rtol=1e-6)


def test_scores_depend_neither_on_batch_nor_on_order(tiny_llama: str) -> None:
    draw = np.random.default_rng(0)
    passages = [
        Passage(tuple(draw.integers(3, 90, draw.integers(0, 20))), tuple(draw.integers(3, 90, draw.integers(0, 20))))
        for _ in range(30)
    ]
    found = []
    for size, places in ((1, list(range(30))), (7, list(range(30))[::-1])):
        with opened(tiny_llama) as generator:
            scored = dict(generator.score([passages[place] for place in places], size))
        found.append([scored[places.index(place)] for place in range(30)])
    for one, other, passage in zip(*found, passages, strict=True):
        assert isinstance(one, TokenScores)
        assert isinstance(other, TokenScores)
        # A first token that nothing stands before has no prediction.
        assert len(one.logprobs) == max(0, len(passage.scored) - (not passage.context))
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-9)


def test_an_answer_comes_with_the_log_probability_that_scoring_it_gives(
    tiny_llama: str, requests_for: Requests
) -> None:
    with opened(tiny_llama) as generator:
        requests = requests_for(generator)
        assert generator.template is not None
        for request, answer in generator.generate(requests):
            assert isinstance(answer, Answer)
            assert answer.logprob is not None
            assert answer.logprob < 0
            if answer.finish_reason != "length":
                continue
            (prompt,) = generator.template.encode([request.prompt])
            tokens = generator.tokenizer(answer.text, add_special_tokens=False).input_ids
            if len(tokens) != answer.output_tokens:
                continue  # other tokens spell the same text
            ((_, scores),) = generator.score([Passage(tuple(prompt), tuple(tokens))], 32)
            assert isinstance(scores, TokenScores)
            assert answer.logprob == pytest.approx(scores.logprobs.mean(), abs=1e-6)


def test_the_embedded_backbone_finds_right_answers_likelier_than_wrong_ones() -> None:
    with opened(EMBEDDED) as generator:
        template = generator.template
        assert template is not None

        def likelihood(answer: str) -> float:
            example = {"instruction": "Reverse the word.", "input": "k q z f", "output": answer}
            prompt, whole = template.answers(example)[-1]
            ids, whole_ids = template.encode([prompt, whole])
            scored = template.answer_ids(prompt, whole, ids, whole_ids)
            ((_, scores),) = generator.score([Passage(tuple(ids), tuple(scored or ()))], 32)
            assert isinstance(scores, TokenScores)
            return float(scores.logprobs.mean())

        assert likelihood("f z q k") > likelihood("m m m m") + 1
