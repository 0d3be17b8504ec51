"""Prompts as text."""

from adg_pipeline.algorithms.prompts import (
    alpaca_answer,
    alpaca_prompt,
    answered_messages,
    fold_system_text,
    prompt_messages,
    transcript,
)


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


def test_turns_after_the_last_answer_that_may_be_learnt_are_not_read() -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "bad", "learn": False},
    ]
    assert [turn["content"] for turn in answered_messages("", "", "", turns)] == ["Hi", "Hello"]


def test_a_transcript_names_the_speakers_of_several_turns_and_puts_system_text_first() -> None:
    turns = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Tallest mountain?"},
        {"role": "assistant", "content": "Everest."},
        {"role": "user", "content": "The second?"},
    ]
    assert transcript(turns) == (
        "You are brief.\n\nUser: Tallest mountain?\n\nAssistant: Everest.\n\nUser: The second?"
    )
    assert transcript(turns[:2]) == "You are brief.\n\nTallest mountain?"


def test_folding_puts_each_system_text_before_the_user_turn_after_it() -> None:
    def turn(role: str, content: str) -> dict[str, str]:
        return {"role": role, "content": content}

    said = [turn("system", "A"), turn("user", "1"), turn("assistant", "2"), turn("system", "B"), turn("user", "3")]
    assert fold_system_text(said) == [turn("user", "A\n\n1"), turn("assistant", "2"), turn("user", "B\n\n3")]
    assert fold_system_text([turn("system", "A")]) == [turn("user", "A")]


def test_reasoning_stands_before_the_answer() -> None:
    assert alpaca_answer({"content": "4", "reasoning": "2 and 2"}) == "<think>\n2 and 2\n</think>\n\n4"
    assert alpaca_answer({"content": "4", "reasoning": ""}) == "4"
