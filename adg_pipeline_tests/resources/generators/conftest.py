"""Tiny models and requests for the generators' tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adg_pipeline.algorithms.seeds import sample_seed
from adg_pipeline.resources.generators.base import AnswerRequest, Generator
from adg_pipeline.settings.sections import GenerationConfig

INSTRUCTIONS = [
    "Name three colours.",
    "Sort these words: pear, apple, fig, and say why the order matters to a reader of a dictionary.",
    "Hi",
    "Write a line about the sea.",
    "What is the capital of France? " * 6,
    "",
    "数一数三个水果。",
]

Requests = Callable[[Generator], list[AnswerRequest]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a busy machine take many times longer than one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["tiny-llama", "tiny-qwen2"])
def tiny_model(request: pytest.FixtureRequest, shared: Path) -> str:
    return str(shared / "goldens" / request.param)


@pytest.fixture
def tiny_llama(shared: Path) -> str:
    return str(shared / "goldens" / "tiny-llama")


@pytest.fixture
def requests_for() -> Requests:
    """K requests for each of the instructions, as generate_shard makes them."""

    def build(generator: Generator) -> list[AnswerRequest]:
        config: GenerationConfig = generator.config
        return [
            AnswerRequest(
                f"row-{row}",
                index,
                generator.render(text),
                sample_seed(config.seed, f"row-{row}", index),
                f"{row}-{index}",
            )
            for row, text in enumerate(INSTRUCTIONS)
            for index in range(config.samples)
        ]

    return build
