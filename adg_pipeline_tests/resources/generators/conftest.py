"""Tiny models and requests for the generators' tests."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adg_pipeline.algorithms.seeds import sample_seed
from adg_pipeline.models.templates import Prompt
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


def plain(text: str) -> Prompt:
    return Prompt(text, (text,))


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


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def chatml_model(tiny_llama: str, tmp_path: Path) -> str:
    """A tiny Llama with a chat template whose turns end with a token that isn't the tokenizer's eos."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    model.resize_token_embeddings(len(tokenizer))
    for saved in (model, tokenizer):
        saved.save_pretrained(tmp_path / "chatml")
    return str(tmp_path / "chatml")


@pytest.fixture
def eos_adding_model(tiny_llama: str, tmp_path: Path) -> str:
    """A tiny Llama whose tokenizer ends every text with eos, as ``add_eos_token`` makes it."""
    folder = Path(shutil.copytree(tiny_llama, tmp_path / "eos-adding"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    eos = config["eos_token"]
    (id_of_eos,) = [token["id"] for token in tokenizer["added_tokens"] if token["content"] == eos]
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": eos, "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {eos: {"id": eos, "ids": [id_of_eos], "tokens": [eos]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return str(folder)
