"""Prompts that a template was put around already."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.algorithms.prompts import alpaca_prompt
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.shapes.templates import unwrapped
from adg_pipeline_tests.formats.reading import convert_bytes, convert_records

WRAPPED = {
    "Alpaca": alpaca_prompt("Name a colour."),
    "ChatML": "<|im_start|>user\nName a colour.<|im_end|>\n<|im_start|>assistant\n",
    "Llama 3": (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nName a colour.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "Gemma": "<bos><start_of_turn>user\nName a colour.<end_of_turn>\n<start_of_turn>model\n",
    "Zephyr": "<|user|>\nName a colour.</s>\n<|assistant|>\n",
    "Llama 2": "<s>[INST] Name a colour. [/INST]",
    "Guanaco": "### Human: Name a colour.\n### Assistant:",
    "Vicuna": (
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
        "and polite answers to the user's questions. USER: Name a colour. ASSISTANT:"
    ),
    "Human and Assistant": "Human: Name a colour.\n\nAssistant:",
}
MORE = [
    "USER: Name a colour. ASSISTANT:",
    "### Instruction:\nName a colour.\n\n### Response:",
    "<|im_start|>user\nName a colour.<|im_end|>",
    "[INST]Name a colour.[/INST]",
    alpaca_prompt(alpaca_prompt("Name a colour.")),
]


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("form", ["pair", "messages", "alpaca"])
def test_a_wrapped_prompt_is_the_bare_instruction_and_is_counted(name, form):
    prompt = WRAPPED[name]
    record = {
        "pair": {"prompt": prompt, "completion": "Red."},
        "alpaca": {"instruction": prompt, "input": "", "output": "Red."},
        "messages": {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": "Red."}]},
    }[form]
    converted = convert_records(record)
    (example,) = converted.examples
    assert (example["instruction"], example["input"], example["output"]) == ("Name a colour.", "", "Red.")
    assert example["messages"] is None
    assert converted.summary.unwrapped == {name: 1}


@pytest.mark.parametrize("prompt", MORE)
def test_other_ways_to_write_the_same_templates(prompt):
    (example,) = convert_records({"prompt": prompt, "completion": "Red."}).examples
    assert (example["instruction"], example["messages"]) == ("Name a colour.", None)


def test_alpacas_input_is_the_input():
    (example,) = convert_records({"prompt": alpaca_prompt("Translate.", "Größe"), "completion": "size"}).examples
    assert (example["instruction"], example["input"]) == ("Translate.", "Größe")


def test_an_input_beside_a_wrapped_instruction_is_its_input():
    same, other = (
        {"instruction": alpaca_prompt("Translate.", told), "input": "Größe", "output": "size"} for told in ("", "Haus")
    )
    converted = convert_records(same, other)
    assert [(example["instruction"], example["input"]) for example in converted.examples] == [("Translate.", "Größe")]
    assert converted.summary.reasons == {"prompt template": 1}


@pytest.mark.parametrize(
    "prompt",
    [
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n",
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\na [/INST] b </s><s>[INST] c [/INST]",
        "<|system|>\nBe brief.</s>\n<|user|>\na</s>\n<|assistant|>\nb</s>\n<|user|>\nc</s>\n<|assistant|>\n",
    ],
)
def test_a_wrapped_conversation_is_its_turns(prompt):
    (example,) = convert_records({"prompt": prompt, "completion": "d"}).examples
    said = [(turn["role"], turn["content"]) for turn in example["messages"]]
    assert said == [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]


def test_the_end_that_the_template_writes_after_an_answer_goes_with_it():
    (example,) = convert_records({"prompt": WRAPPED["ChatML"], "completion": "Red.<|im_end|>\n"}).examples
    assert example["output"] == "Red."


@pytest.mark.parametrize(
    "text",
    [
        "What does <|im_start|> mean?",
        'Explain "Below is an instruction that describes a task" and ### Response: in the Alpaca template.',
        "Write a dialogue that begins with USER: and ends well.",
        "Human: what is that?",
        "### A heading\n\nSome text with ### Response: in it.",
        "Continue this chat.\nUser: Hi\nAssistant:",
        "Assistant: Hello!\nUser: Hi",
        "[INST] is a mark of Llama 2; what is it for?"[1:],
    ],
)
def test_a_text_that_only_speaks_of_such_marks_stays_as_it_is(text):
    converted = convert_records({"prompt": text, "completion": "x"})
    assert converted.examples[0]["instruction"] == text
    assert converted.summary.unwrapped == {}


@pytest.mark.parametrize(
    "text",
    [
        alpaca_prompt("Add.") + "4\n\n### Instruction:\nAdd again.\n\n### Response:\n",
        alpaca_prompt("Add.").rstrip() + " Let's think step by step.",
        "<|im_start|>assistant\nHi<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n",
    ],
)
def test_a_prompt_whose_parts_cannot_be_told_is_left_out_by_name(text):
    converted = convert_records({"prompt": "Hi", "completion": "Hello"}, {"prompt": text, "completion": "x"})
    assert converted.summary.reasons == {"prompt template": 1}


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="#<[\0"), min_size=1).filter(
    lambda text: text == text.strip() and ":" not in text
)


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT)
def test_what_was_wrapped_comes_back(instruction, input):
    found = unwrapped(alpaca_prompt(instruction, input))
    assert found is not None
    assert ([turn.content for turn in found.turns], found.input) == ([instruction], input)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([*WRAPPED.values(), "USER:", "\n", "### Response:", "x", "[INST]", "<|user|>"]), max_size=6
    )
)
def test_unwrapping_leaves_nothing_that_would_be_unwrapped_again(parts):
    try:
        found = unwrapped("".join(parts))
    except Unusable:
        return
    if found is not None and len(found.turns) == 1 and not found.input:
        assert unwrapped(found.turns[0].content) is None


def test_a_shard_of_our_own_reads_back_what_was_unwrapped():
    first = convert_records({"prompt": WRAPPED["Alpaca"], "completion": "Red."}).examples
    again = convert_bytes(json.dumps(first[0]).encode())
    assert again.examples[0]["content_hash"] == first[0]["content_hash"]
    assert again.summary.unwrapped == {}
