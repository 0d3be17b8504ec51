"""The packaged backbone: its size, its tokenizer, and what it knows and barely knows."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

import adg_pipeline.demo
from adg_pipeline.algorithms.prompts import alpaca_prompt
from adg_pipeline.demo.evaluate import evaluate, held_out_questions
from adg_pipeline.demo.train_backbone import Recipe, main, make_tokenizer

BACKBONE = Path(adg_pipeline.demo.__file__).parent / "backbone"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(BACKBONE)


def test_backbone_takes_at_most_three_megabytes() -> None:
    assert sum(path.stat().st_size for path in BACKBONE.iterdir()) <= 3_000_000


def test_backbone_loads_from_its_folder_as_a_small_llama(tokenizer: PreTrainedTokenizerFast) -> None:
    model = AutoModelForCausalLM.from_pretrained(BACKBONE)
    assert model.config.architectures == ["LlamaForCausalLM"]
    assert 500_000 < model.num_parameters() < 1_000_000
    assert model.config.head_dim == 32
    assert model.config.max_position_embeddings == 2048
    assert model.config.vocab_size == len(tokenizer)


def test_backbone_knows_the_known_skills_and_barely_the_others() -> None:
    accuracy = evaluate(BACKBONE, held_out_questions(per_skill=16), threads=1)
    assert accuracy.known > 0.9
    assert accuracy.barely_known < 0.5


@settings(deadline=None, max_examples=200)
@given(text=st.text())
def test_tokenizer_gives_any_text_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False) == text


@given(instruction=st.text(), input=st.text(), answer=st.text())
@settings(deadline=None)
def test_answer_begins_at_a_token_of_its_own(
    tokenizer: PreTrainedTokenizerFast, instruction: str, input: str, answer: str
) -> None:
    """Trainers that tokenize prompt and answer together find the same prompt tokens as samplers do."""
    prompt = alpaca_prompt(instruction, input)
    apart = tokenizer(prompt)["input_ids"] + tokenizer(answer)["input_ids"]
    assert tokenizer(prompt + answer)["input_ids"] == apart


def test_boilerplate_of_the_alpaca_prompt_costs_two_or_three_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    words = len(tokenizer("Reverse it.")["input_ids"])
    assert len(tokenizer(alpaca_prompt("Reverse it."))["input_ids"]) == words + 2
    assert len(tokenizer(alpaca_prompt("Reverse it.", "k q"))["input_ids"]) == words + 2 + 3


def test_chat_template_renders_turns_and_marks_the_assistants_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    user = {"role": "user", "content": "Copy it.\nk q"}
    prompt = tokenizer.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    assert prompt == "<|user|>\nCopy it.\nk q<|end|><|assistant|>\n"
    turns = [{"role": "system", "content": "Be brief."}, user, {"role": "assistant", "content": "k q"}]
    encoded = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    marked = [t for t, mark in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mark]
    assert tokenizer.decode(marked) == "k q<|end|>"


def test_packaged_tokenizer_is_the_one_that_the_script_makes(tokenizer: PreTrainedTokenizerFast) -> None:
    assert make_tokenizer(Recipe()).get_vocab() == tokenizer.get_vocab()


def test_training_script_writes_a_checkpoint_of_the_packaged_shape(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--out", str(tmp_path), "--steps", "3", "--threads", "1"])
    assert result.exit_code == 0, result.output
    trained = AutoModelForCausalLM.from_pretrained(tmp_path)
    packaged = AutoModelForCausalLM.from_pretrained(BACKBONE)
    assert {n: p.shape for n, p in trained.named_parameters()} == {n: p.shape for n, p in packaged.named_parameters()}
    assert {path.name for path in tmp_path.iterdir()} <= {path.name for path in BACKBONE.iterdir()}
