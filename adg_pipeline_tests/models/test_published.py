"""The chat template of a published checkpoint renders what the training did."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from adg_pipeline.algorithms.prompts import alpaca_prompt
from adg_pipeline.models.chat import for_template
from adg_pipeline.models.published import published_chat_template
from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.models.tokenizers import load_tokenizer
from adg_pipeline_tests.models.families import FAMILIES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["{{ x }} {% y %}", "{input}", "\n", "  a \n\n b ", "'\"\\n", "<think>"]
)
TURN = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": TEXT})


@pytest.fixture(scope="module")
def published_alpaca(shared: Path) -> Any:
    """A tokenizer as it is published after a training with the Alpaca template."""
    tokenizer = load_tokenizer(str(shared / "goldens" / "tiny-llama"))
    known = [("<s>", tokenizer.bos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A", special_tokens=known)
    tokenizer.chat_template = published_chat_template(PromptTemplate(tokenizer, "alpaca"))
    return tokenizer


@given(TEXT, TEXT, TEXT)
def test_an_alpaca_checkpoint_asks_as_it_was_tuned(
    published_alpaca: Any, instruction: str, input: str, output: str
) -> None:
    turns = [{"role": "user", "content": instruction, "input": input}]
    asked = published_alpaca.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert asked == "<s>" + alpaca_prompt(instruction, input)
    answered = [*turns, {"role": "assistant", "content": output}]
    assert published_alpaca.apply_chat_template(answered, tokenize=False) == f"{asked}{output}</s>"


@given(st.lists(TURN, max_size=5), TEXT, TEXT)
def test_an_alpaca_checkpoint_asks_conversations_as_it_was_tuned(
    published_alpaca: Any, turns: list[dict[str, str]], last: str, output: str
) -> None:
    asked = [*turns, {"role": "user", "content": last}]
    answered = [*asked, {"role": "assistant", "content": output}]
    template = PromptTemplate(published_alpaca, "alpaca")
    ((prompt, whole),) = template.answers({"instruction": "", "input": "", "output": output, "messages": answered})
    shown = published_alpaca.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert shown == "<s>" + prompt.text
    assert published_alpaca.apply_chat_template(answered, tokenize=False) == f"<s>{whole.text}</s>"


def test_token_ids_of_an_alpaca_checkpoints_chat_are_those_of_the_training(published_alpaca: Any) -> None:
    template = PromptTemplate(published_alpaca, "alpaca")
    (ids,) = template.encode([template.prompt({"instruction": "Add.", "input": "1 2"})])
    turns = [{"role": "user", "content": "Add.", "input": "1 2"}]
    shown = published_alpaca.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert shown == ids
    assert ids.count(published_alpaca.bos_token_id) == 1


def test_tools_are_refused_by_an_alpaca_checkpoint(published_alpaca: Any) -> None:
    from jinja2 import TemplateError

    with pytest.raises(TemplateError, match="no place for tools"):
        published_alpaca.apply_chat_template([{"role": "user", "content": "Hi"}], tools=[{"name": "f"}], tokenize=False)


SYSTEM, USER, ANSWER = ({"role": role, "content": f"{role} says"} for role in ("system", "user", "assistant"))
CONVERSATIONS = [
    [SYSTEM, USER, ANSWER],
    [USER, ANSWER, USER, {**ANSWER, "reasoning": "so"}],
    [SYSTEM, USER, ANSWER, SYSTEM, SYSTEM, USER, ANSWER],
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_options_and_folding_of_the_training_are_in_the_chat_template(family: Any, shared: Path) -> None:
    options = {"enable_thinking": False, "date_string": 'the "1st" of Mäy', "list": [1, None, {"a": True}]}
    tokenizer = family.tokenizer(shared / "goldens" / "tiny-llama")
    template = PromptTemplate(tokenizer, "chat", options, fold_system=True)
    plain = [turns for turns in CONVERSATIONS if family.name == "qwen3" or not turns[-1].get("reasoning")]
    rendered = [template.answers({"instruction": "", "input": "", "output": "", "messages": turns}) for turns in plain]
    own, tokenizer.chat_template = tokenizer.chat_template, published_chat_template(template)
    for turns, ((prompt, whole),) in zip(plain, rendered, strict=True):
        shown = [for_template(turn) for turn in turns]
        asked = tokenizer.apply_chat_template(shown[:-1], tokenize=False, add_generation_prompt=True)
        assert asked == "".join(prompt.pieces)
        assert tokenizer.apply_chat_template(shown, tokenize=False) == "".join(whole.pieces)
    if family.name == "qwen3":  # whoever asks may still choose
        tokenizer.chat_template, published = own, tokenizer.chat_template
        thinking = tokenizer.apply_chat_template([USER], tokenize=False, add_generation_prompt=True)
        tokenizer.chat_template = published
        assert thinking == tokenizer.apply_chat_template(
            [USER], tokenize=False, add_generation_prompt=True, enable_thinking=True
        )


def test_each_of_several_named_chat_templates_is_published(shared: Path) -> None:
    tokenizer = FAMILIES[0].tokenizer(shared / "goldens" / "tiny-llama")
    tokenizer.chat_template = {"default": tokenizer.chat_template, "tool_use": "{{ tools }}"}
    published = published_chat_template(PromptTemplate(tokenizer, "chat", {"a": 1}))
    assert isinstance(published, dict)
    assert published["tool_use"].endswith("= 1 -%}{%- endif -%}\n{{ tools }}")
    assert published.keys() == {"default", "tool_use"}
