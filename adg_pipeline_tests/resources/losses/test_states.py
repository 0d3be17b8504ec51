"""Hidden states of a conversation, as RDS+ reads them."""

from itertools import product

import numpy as np
import pytest

from adg_pipeline.errors import SettingsError
from adg_pipeline.models.backbones import EMBEDDED
from adg_pipeline.resources.generators.base import Generator, Passage
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline.resources.losses.states import query_states, weighted_states
from adg_pipeline.settings.sections import GenerationConfig
from adg_pipeline_tests.workbench import records

CONFIG = GenerationConfig(backbone=EMBEDDED, device="cpu")


@pytest.fixture(scope="module")
def generator() -> Generator:
    opened = TransformersGenerator(CONFIG)
    opened.open()
    return opened


def test_a_passage_of_two_tokens_is_a_third_of_the_one_and_two_of_the_other(generator: TransformersGenerator) -> None:
    import torch

    with torch.inference_mode():
        last = generator._model(torch.tensor([[5, 9]]), output_hidden_states=True).hidden_states[-1][0].numpy()
    mean = (last[0] + 2 * last[1]) / 3
    longer = Passage((), tuple(range(3, 40)))  # shares the batch, so that the short one is padded
    found = dict(generator.forward([Passage((5,), (9,)), longer], 8, weighted_states))
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_queries_are_read_as_references_are(generator: Generator) -> None:
    rows = [{**row, "example_id": row["id"], "messages": None, "tools": ""} for row in records(3)]
    states = query_states(rows, generator, 2)
    assert states.shape[0] == 3
    np.testing.assert_allclose(np.linalg.norm(states, axis=1), 1, atol=1e-5)
    with pytest.raises(SettingsError, match=r"selected_subset.queries: example 2 can't be read .* exceed the context"):
        query_states([rows[0], {**rows[1], "output": "a " * 5000}], generator, 2)


def test_like_conversations_are_alike(generator: Generator) -> None:
    asked = [
        ("Reverse the word.", "k q z f", "f z q k"),
        ("Reverse the word.", "k q z p", "p z q k"),
        ("Say hello.", "", "Hi!"),
    ]
    names = ("instruction", "input", "output")
    rows = [
        {**dict(zip(names, texts, strict=True)), "example_id": str(place), "messages": None, "tools": ""}
        for place, texts in enumerate(asked)
    ]
    states = query_states(rows, generator, 4)
    cosines = {(one, other): float(states[one] @ states[other]) for one, other in product(range(3), repeat=2)}
    assert cosines[0, 1] > cosines[0, 2]
