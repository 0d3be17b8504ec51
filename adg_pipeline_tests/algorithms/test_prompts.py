"""Prompts as the backbone is asked and tuned with."""

from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.algorithms.prompts import (
    MissingChatTemplate,
    PromptError,
    alpaca_prompt,
    prompt_messages,
    render_prompt,
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role not in ['system', 'user', 'assistant', 'tool'] %}{{ raise_exception('role ' + m.role) }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture
def tokenizer(shared: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared / "goldens" / "tiny-llama")


@pytest.fixture
def chat_tokenizer(tokenizer: Any) -> Any:
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def test_alpaca_prompt_without_input_is_stanfords() -> None:
    assert alpaca_prompt("Name a {colour}.") == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nName a {colour}.\n\n### Response:\n"
    )


def test_alpaca_prompt_with_input_is_stanfords() -> None:
    assert alpaca_prompt("Translate.", "{bonjour}") == (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nTranslate.\n\n### Input:\n{bonjour}\n\n### Response:\n"
    )


def test_blank_input_counts_as_none() -> None:
    assert alpaca_prompt("Count.", " \n") == alpaca_prompt("Count.")


def test_conversation_is_asked_up_to_its_last_assistant_turn() -> None:
    turns = [
        {"role": "human", "content": "Hi"},
        {"role": "gpt", "content": "Hello"},
        {"role": "human", "content": "And now?"},
        {"role": "gpt", "content": "the reference answer"},
    ]
    asked = prompt_messages("And now?", "", turns)
    assert [turn["role"] for turn in asked] == ["user", "assistant", "user"]
    assert asked[-1]["content"] == "And now?"


def test_tool_turns_take_standard_roles() -> None:
    turns = [
        {"role": "human", "content": "Weather?"},
        {"role": "function_call", "content": '{"name": "weather"}'},
        {"role": "observation", "content": "rain"},
        {"role": "gpt", "content": "It rains."},
    ]
    assert [turn["role"] for turn in prompt_messages("", "", turns)] == ["user", "assistant", "tool"]


def test_conversation_that_begins_with_its_only_answer_asks_the_instruction() -> None:
    asked = prompt_messages("Tell a joke.", "", [{"role": "assistant", "content": "Knock, knock."}])
    assert asked == [{"role": "user", "content": "Tell a joke."}]


def test_alpaca_renders_earlier_turns_as_a_transcript() -> None:
    turns = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Tallest mountain?"},
        {"role": "assistant", "content": "Everest."},
        {"role": "user", "content": "The second?"},
        {"role": "assistant", "content": "K2."},
    ]
    transcript = "You are brief.\n\nUser: Tallest mountain?\n\nAssistant: Everest.\n\nUser: The second?"
    assert render_prompt("The second?", "", turns, "alpaca") == alpaca_prompt(transcript)


def test_alpaca_renders_a_single_turn_without_speakers() -> None:
    turns = [{"role": "user", "content": "Tallest mountain?"}, {"role": "assistant", "content": "Everest."}]
    assert render_prompt("Tallest mountain?", "", turns, "alpaca") == alpaca_prompt("Tallest mountain?")


def test_chat_template_ends_where_the_answer_begins(chat_tokenizer: Any) -> None:
    assert render_prompt("Add.", "1 2", None, "chat", chat_tokenizer).endswith("[user]Add.\n1 2\n[assistant]")


def test_bos_stands_once_whoever_tokenizes(chat_tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    assert render_prompt("Add.", "", None, "chat", chat_tokenizer).startswith("<s>")  # this tokenizer adds none itself
    chat_tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    prompt = render_prompt("Add.", "", None, "chat", chat_tokenizer)
    assert chat_tokenizer(prompt).input_ids.count(chat_tokenizer.bos_token_id) == 1


def test_missing_chat_template_names_the_model_and_the_mend(tokenizer: Any) -> None:
    with pytest.raises(MissingChatTemplate, match=r"tiny-llama has no chat template; set `template: alpaca`"):
        render_prompt("Add.", "", None, "chat", tokenizer)


def test_role_that_the_chat_template_refuses_is_an_error_of_that_example(chat_tokenizer: Any) -> None:
    with pytest.raises(PromptError, match="refuses the roles critic"):
        render_prompt("", "", [{"role": "critic", "content": "Bad."}], "chat", chat_tokenizer)
