"""Prompts by the one rendering: what is written, and what of it are control tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from adg_pipeline.algorithms.prompts import NoPlace, PromptError, alpaca_prompt
from adg_pipeline.models.chat import MissingChatTemplate
from adg_pipeline.models.templates import PromptTemplate, declared_ends
from adg_pipeline.models.tokenizers import load_tokenizer

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role not in ['system', 'user', 'assistant', 'tool'] %}{{ raise_exception('role ' + m.role) }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
QUESTION = {"instruction": "Add.", "input": "1 2"}


@pytest.fixture
def tokenizer(shared: Path) -> Any:
    return load_tokenizer(str(shared / "goldens" / "tiny-llama"))


@pytest.fixture
def chat_tokenizer(tokenizer: Any) -> Any:
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def said(*turns: tuple[str, str]) -> dict[str, Any]:
    return {"instruction": "", "input": "", "messages": [{"role": role, "content": text} for role, text in turns]}


def add_around(tokenizer: Any, around: str) -> Any:
    """The tokenizer, putting BOS and eos around every text, as ``add_bos_token`` and ``add_eos_token`` have it."""
    tokens = [("<s>", tokenizer.bos_token_id), ("</s>", tokenizer.eos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=around, special_tokens=tokens)
    return tokenizer


def ids_of(template: PromptTemplate, example: dict[str, Any]) -> list[int]:
    (ids,) = template.encode([template.prompt(example)])
    return ids


def test_alpaca_renders_a_conversation_as_its_transcript(tokenizer: Any) -> None:
    example = said(("user", "Tallest?"), ("assistant", "Everest."), ("user", "Second?"), ("assistant", "K2."))
    template = PromptTemplate(tokenizer, "alpaca")
    assert template.prompt(example).text == alpaca_prompt("User: Tallest?\n\nAssistant: Everest.\n\nUser: Second?")
    assert template.prompt(QUESTION).text == alpaca_prompt("Add.", "1 2")


def test_a_chat_prompt_ends_where_the_answer_begins(chat_tokenizer: Any) -> None:
    text = PromptTemplate(chat_tokenizer, "chat").prompt(QUESTION).text
    assert text.endswith("[user]Add.\n1 2\n[assistant]")


def test_bos_stands_once_whoever_tokenizes(chat_tokenizer: Any) -> None:
    assert PromptTemplate(chat_tokenizer, "chat").prompt(QUESTION).text.startswith("<s>")
    add_around(chat_tokenizer, "<s> $A")
    template = PromptTemplate(chat_tokenizer, "chat")
    assert chat_tokenizer(template.prompt(QUESTION).text).input_ids == ids_of(template, QUESTION)
    assert ids_of(template, QUESTION).count(chat_tokenizer.bos_token_id) == 1
    alpaca = PromptTemplate(chat_tokenizer, "alpaca")
    assert ids_of(alpaca, QUESTION) == chat_tokenizer(alpaca_prompt("Add.", "1 2")).input_ids


@pytest.mark.parametrize("kind", ["alpaca", "chat"])
@pytest.mark.parametrize("around", ["<s> $A </s>", "$A </s>"])
def test_an_end_that_the_tokenizer_adds_to_every_text_is_no_part_of_a_prompt(
    chat_tokenizer: Any, kind: Any, around: str
) -> None:
    ids = ids_of(PromptTemplate(add_around(chat_tokenizer, around), kind), QUESTION)
    assert chat_tokenizer.eos_token_id not in ids
    assert chat_tokenizer.decode(ids).endswith("[assistant]" if kind == "chat" else "### Response:\n")


@pytest.mark.parametrize("kind", ["alpaca", "chat"])
@pytest.mark.parametrize("place", ["instruction", "input"])
def test_what_an_example_spells_like_a_control_token_stays_text(chat_tokenizer: Any, kind: Any, place: str) -> None:
    chat_tokenizer.add_special_tokens({"extra_special_tokens": ["<|im_end|>"]})
    template = PromptTemplate(chat_tokenizer, kind)
    example = {**QUESTION, place: "What do </s>, <|im_end|> and\n<s>mean?</s>"}
    prompt = template.prompt(example)
    (ids,) = template.encode([prompt])
    assert chat_tokenizer.decode(ids) == prompt.text
    written = [token for token in ids if token in chat_tokenizer.all_special_ids]
    assert written == ([chat_tokenizer.bos_token_id] if kind == "chat" else [])


def test_a_text_without_control_tokens_has_the_tokens_it_always_had(chat_tokenizer: Any) -> None:
    for kind in ("alpaca", "chat"):
        template = PromptTemplate(chat_tokenizer, kind)  # type: ignore[arg-type]
        assert ids_of(template, QUESTION) == chat_tokenizer(template.prompt(QUESTION).text).input_ids


def test_missing_chat_template_names_the_model_and_the_mend(tokenizer: Any) -> None:
    with pytest.raises(MissingChatTemplate, match=r"tiny-llama has no chat template; set `template: alpaca`"):
        PromptTemplate(tokenizer, "chat")


def test_role_that_the_chat_template_refuses_is_an_error_of_that_example(chat_tokenizer: Any) -> None:
    with pytest.raises(PromptError, match="refuses the roles critic"):
        PromptTemplate(chat_tokenizer, "chat").prompt(said(("critic", "Bad.")))


def test_options_are_variables_of_the_chat_template(chat_tokenizer: Any) -> None:
    chat_tokenizer.chat_template = "{% if enable_thinking is false %}quick{% endif %}" + CHAT_TEMPLATE
    assert "quick" not in PromptTemplate(chat_tokenizer, "chat").prompt(QUESTION).text
    assert "quick" in PromptTemplate(chat_tokenizer, "chat", {"enable_thinking": False}).prompt(QUESTION).text


def test_system_text_is_folded_into_the_user_turn_on_request(chat_tokenizer: Any) -> None:
    chat_tokenizer.chat_template = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + (
        CHAT_TEMPLATE
    )
    example = said(("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"))
    with pytest.raises(PromptError, match="refuses the roles system, user: no"):
        PromptTemplate(chat_tokenizer, "chat").prompt(example)
    folded = PromptTemplate(chat_tokenizer, "chat", fold_system=True).prompt(example)
    assert folded.text == "<s>[user]Be brief.\n\nHi\n[assistant]"


@pytest.mark.parametrize(
    ("part", "example"),
    [
        ("tools", {**QUESTION, "tools": json.dumps([{"type": "function", "function": {"name": "add"}}])}),
        ("tool calls", {**said(("user", "Hi"), ("assistant", ""), ("tool", "3")), "call": 1}),
        ("a tool turn", said(("user", "Hi"), ("tool", "3"))),
        ("a system turn", said(("system", "Be brief."), ("user", "Hi"))),
    ],
)
def test_what_the_chat_template_would_pass_over_is_said(tokenizer: Any, part: str, example: dict[str, Any]) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role in ['user', 'assistant'] %}[{{ m.role }}]{{ m.content }}{% endif %}"
        "{% endfor %}"
    )
    if example.pop("call", None):
        call = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
        example["messages"][1] |= {"tool_calls": json.dumps([call]), "learn": False}
    with pytest.raises(NoPlace, match=f"the chat template has no place for {part}"):
        PromptTemplate(tokenizer, "chat").prompt(example)


def test_alpaca_has_no_place_for_tools(tokenizer: Any) -> None:
    with pytest.raises(NoPlace, match="Alpaca template has no place for tools"):
        PromptTemplate(tokenizer, "alpaca").prompt({**QUESTION, "tools": '[{"name": "add"}]'})


@pytest.mark.parametrize(
    ("written", "following", "ends", "next_turn"),
    [
        ("<|end|>\n", "<|user|>", {"</s>", "<|end|>"}, ("<|user|>",)),
        ("", "<|user|>\n", {"</s>", "<|user|>"}, ("<|user|>",)),
        ("\n", "### User: ", {"</s>"}, ("### User:",)),
        ("", "\n\nUSER: ", {"</s>"}, ("\nUSER:",)),
        (" </s>", "<s>[INST]", {"</s>"}, ("<s>[INST]",)),
    ],
)
def test_a_turn_ends_with_what_the_template_writes_after_an_answer(
    tokenizer: Any, written: str, following: str, ends: set[str], next_turn: tuple[str, ...]
) -> None:
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|end|>", "<|user|>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}" + following + "{{ m.content }}|{% else %}{{ m.content }}"
        + written + "{% endif %}{% endfor %}"
    )  # fmt: skip
    template = PromptTemplate(tokenizer, "chat")
    assert set(tokenizer.convert_ids_to_tokens(sorted(template.turn_ends))) == ends
    assert (template.after_answer, template.next_turn) == (written, next_turn)


def test_declared_ends_are_those_of_the_generation_config_or_else_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "eos_token_id": 2}')
    assert declared_ends(str(tmp_path)) == {2}
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [2, 5, 7]}')
    assert declared_ends(str(tmp_path)) == {2, 5, 7}
    (tmp_path / "generation_config.json").write_text("{}")
    assert declared_ends(str(tmp_path)) == set()
