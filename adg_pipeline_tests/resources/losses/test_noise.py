"""What T-SHIRT reads of a reference under noise."""

import math

import numpy as np
import pytest

from adg_pipeline.models.backbones import EMBEDDED
from adg_pipeline.resources.generators.base import Passage
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline.resources.losses import noise
from adg_pipeline.resources.losses.noise import THRESHOLDS, selective_ifd, under_noise
from adg_pipeline.settings.sections import GenerationConfig

PASSAGE = Passage((5, 6, 7), (8, 9, 10, 11))


def test_two_copies_of_three_tokens_by_hand() -> None:
    # Differences of the second and third token: -1 and 0.1 in the one copy, -0.5 and 2 in the other.
    given = np.array([[1.0, 1.0, 1.1], [1.0, 0.5, 3.0]])
    alone = np.array([[2.0, 1.0], [1.0, 1.0]])
    found = selective_ifd(given, alone)
    ratios = [math.exp(3.1 / 3 - 1.5), math.exp(4.5 / 3 - 1.0)]
    assert found["noisy_ifd"] == pytest.approx(sum(ratios) / 2, abs=1e-4)
    assert found["selective_tokens"][0] == 4
    place = int(np.searchsorted(THRESHOLDS, 0.6))  # keeps -1 of the one, 2 of the other
    copies = [math.exp(-1), math.exp(2)]
    assert found["selective_tokens"][place] == 2
    assert found["selective_ifd"][place] == pytest.approx(sum(copies) / 2, abs=1e-4)
    assert found["selective_ifd_spread"][place] == pytest.approx((copies[1] - copies[0]) / 2, abs=1e-4)
    # Above all differences no token is left: exp(0).
    assert (found["selective_tokens"][-1], found["selective_ifd"][-1], found["selective_ifd_spread"][-1]) == (
        0,
        1.0,
        0.0,
    )


def test_without_noise_the_losses_are_those_of_plain_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "NOISE", 0.0)
    with TransformersGenerator(GenerationConfig(backbone=EMBEDDED, device="cpu")) as generator:
        scores = dict(generator.score([PASSAGE, Passage((), PASSAGE.scored)], 2))
        ((_, found),) = generator.forward([PASSAGE], 2, under_noise(3))
    given, alone = (scores[place].logprobs.mean() for place in (0, 1))  # type: ignore[union-attr]
    assert found["noisy_ifd"] == pytest.approx(math.exp(alone - given), abs=1e-4)
    assert found["selective_ifd_spread"] == [0.0] * len(THRESHOLDS)


def test_noise_is_drawn_by_what_a_passage_says_and_differs_between_copies() -> None:
    with TransformersGenerator(GenerationConfig(backbone=EMBEDDED, device="cpu")) as generator:
        ((_, one),) = generator.forward([PASSAGE], 2, under_noise(4))
        others = dict(generator.forward([Passage((3,), (4, 5)), PASSAGE, Passage((3,), (4,))], 3, under_noise(4)))
    assert others[1] == one
    assert max(one["selective_ifd_spread"]) > 0
    assert others[2] == {}  # alone its only token has no prediction
