"""Each shape of record, read into the canonical example."""

import json
from typing import Any

import pytest

from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import alpaca, convert_bytes, convert_records


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def said(example: dict[str, Any]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in example["messages"]]


def test_alpaca_keeps_instruction_input_and_output_apart():
    converted = convert_records(alpaca(input="Not blue."), alpaca("Say hi.", "Hi."))
    assert converted.summary.format == "alpaca"
    first, second = converted.examples
    assert (first["instruction"], first["input"], first["output"]) == ("Name a colour.", "Not blue.", "Red.")
    assert (second["input"], second["messages"], second["row"]) == ("", None, 2)


def test_dolly_names_its_input_context_and_its_output_response():
    record = {"instruction": "Who is it about?", "context": "Ada wrote.", "response": "Ada.", "category": "qa"}
    (example,) = convert_records(record).examples
    assert (example["input"], example["output"]) == ("Ada wrote.", "Ada.")


def test_alpaca_history_makes_a_conversation_of_all_turns():
    (example,) = convert_records(alpaca("And then?", input="Briefly.", history=[["First?", "One."]])).examples
    assert said(example) == [
        ("user", "First?"),
        ("assistant", "One."),
        ("user", "And then?\nBriefly."),
        ("assistant", "Red."),
    ]
    assert (example["instruction"], example["input"], example["output"]) == ("And then?\nBriefly.", "", "Red.")


@pytest.mark.parametrize("history", [[["only one"]], ["text"], {"user": "x"}, [[["nested"], "x"]]])
def test_a_malformed_history_is_rejected_with_its_place(history):
    converted = convert_records(alpaca(), alpaca(history=history))
    assert converted.summary.accepted == 1
    assert "history" in converted.reasons[0]


def test_openai_messages_of_one_turn_each_are_single_turn():
    (example,) = convert_records({"messages": [turn("user", "Hi"), turn("assistant", "Hello")]}).examples
    assert (example["instruction"], example["output"], example["messages"]) == ("Hi", "Hello", None)


def test_a_system_message_is_kept_as_a_turn():
    (example,) = convert_records(
        {"messages": [turn("developer", "Be kind."), turn("user", "Hi"), turn("assistant", "Hello")]}
    ).examples
    assert said(example) == [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello")]


def test_parts_of_text_are_joined():
    parts = [{"type": "text", "text": "1 + "}, {"type": "text", "text": "1?"}]
    (example,) = convert_records({"messages": [turn("user", parts), turn("assistant", "Two.")]}).examples
    assert (example["instruction"], example["output"]) == ("1 + 1?", "Two.")


def test_sharegpt_takes_the_user_and_assistant_spellings():
    (example,) = convert_records(
        {"conversations": [turn("User", "Hi"), turn("ASSISTANT", "Hello")], "tools": "[]"}
    ).examples
    assert (example["instruction"], example["output"], example["messages"]) == ("Hi", "Hello", None)


@pytest.mark.parametrize(
    ("turns", "kind"),
    [
        ([turn("user", "Hi")], "no final assistant turn"),
        ([turn("assistant", "Hi"), turn("user", "Hello")], "no final assistant turn"),
        ([turn("system", "Be kind."), turn("assistant", "Hi")], "no user turn"),
        ([], "no user turn"),
        ([turn("user", "Hi"), turn("narrator", "…"), turn("assistant", "Hello")], "unknown role"),
        ([turn("user", "Hi"), {"content": "Hello"}], "malformed conversation"),
        (["Hi", "Hello"], "malformed conversation"),
        ("Hi", "malformed conversation"),
        ([turn("user", [{"type": "image_url"}]), turn("assistant", "A cat")], "not text"),
        ([turn("user", " "), turn("assistant", "Hello")], "empty instruction"),
        ([turn("user", "Hi"), turn("assistant", "\n")], "empty output"),
    ],
)
def test_a_conversation_that_cannot_be_learnt_from_is_rejected_with_the_reason(turns, kind):
    usable = {"messages": [turn("user", "Hi"), turn("assistant", "Hello")]}
    converted = convert_records(usable, {"messages": turns})
    assert converted.summary.reasons == {kind: 1}
    assert converted.rejects[0]["record"] == 2


@pytest.mark.parametrize("names", [("prompt", "completion"), ("prompt", "response"), ("question", "answer")])
def test_prompt_and_completion_under_each_pair_of_names(names):
    converted = convert_records(dict(zip(names, ("2 + 2?", 4), strict=True)))
    assert converted.summary.format == "prompt_completion"
    assert (converted.examples[0]["instruction"], converted.examples[0]["output"]) == ("2 + 2?", "4")


def test_prompt_and_completion_may_be_lists_of_turns():
    (example,) = convert_records({"prompt": [turn("user", "Hi")], "completion": [turn("assistant", "Hello")]}).examples
    assert (example["instruction"], example["output"]) == ("Hi", "Hello")


def test_multiple_choice_is_not_taken_for_question_and_answer():
    with pytest.raises(PoolFileError, match="choices"):
        convert_records({"question": "Which?", "choices": ["a", "b"], "answer": 1})


def test_each_instance_of_a_seed_is_an_example_with_an_id_of_its_own():
    instances = [{"input": "", "output": "a"}, {"input": "x", "output": "b"}, {"input": "y"}, "text"]
    converted = convert_records({"id": "seed_7", "instruction": "Do.", "instances": instances}, {"instruction": "No."})
    assert [example["example_id"] for example in converted.examples] == ["seed_7", "seed_7#2"]
    assert [example["row"] for example in converted.examples] == [1, 1]
    assert converted.summary.read == 5
    assert [reject["record"] for reject in converted.rejects] == [1, 1, 2]


def test_flan_cot_joins_rationale_and_answer():
    data = (
        b"Is it so?\\nOptions:\\n- yes\tyes\tBecause\\nit is.\r\nB?\tno.\t\nonly two\tcolumns\n\t(A)\twhy\nQ?\t\twhy\n"
    )
    converted = convert_bytes(data, name="cot.tsv")
    assert converted.summary.format == "flan_cot"
    first, second = converted.examples
    assert first["instruction"] == "Is it so?\nOptions:\n- yes"
    assert first["output"] == "Because\nit is.\nThe answer is yes."
    assert second["output"] == "The answer is no."
    assert converted.summary.reasons == {"wrong columns": 1, "empty instruction": 1, "empty output": 1}
    assert [reject["line"] for reject in converted.rejects] == [3, 4, 5]


def test_a_tsv_question_that_begins_with_a_bracket_is_read_if_the_format_is_named():
    data = b"[x] is what?\ta letter\tIt is one.\n"
    (example,) = convert_bytes(data, RawPoolConfig(format="flan_cot")).examples
    assert example["instruction"] == "[x] is what?"


def test_a_named_format_is_not_guessed():
    record = {"messages": [turn("user", "Hi"), turn("assistant", "Hello")], **alpaca()}
    assert convert_records(record).summary.format == "messages"
    assert convert_records(record, config=RawPoolConfig(format="alpaca")).examples[0]["output"] == "Red."


def test_the_shape_that_most_records_have_is_the_files_shape():
    stray = {"prompt": "a", "completion": "b"}
    converted = convert_records(stray, *(alpaca(output=str(number)) for number in range(5)))
    assert (converted.summary.format, converted.summary.accepted) == ("alpaca", 5)
    assert converted.summary.reasons == {"missing field": 1}


def test_a_shard_of_our_own_is_recognised_although_another_format_is_named():
    turns = [turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d")]
    shard = {"example_id": "s-7", "source": "s", "instruction": "c", "input": "", "output": "d", "content_hash": "?"}
    converted = convert_records({**shard, "messages": turns, "row": 9}, config=RawPoolConfig(format="alpaca"))
    assert converted.summary.format == "canonical"
    (example,) = converted.examples
    assert (example["example_id"], example["source"], len(example["messages"]), example["row"]) == ("s-7", "s", 4, 1)
    assert example["content_hash"] != "?"


@pytest.mark.parametrize(
    ("record", "found"),
    [({"text": "x", "label": 1}, "text, label"), ({"examples": []}, "examples"), ({"instruction": "x"}, "instruction")],
)
def test_unknown_keys_are_named_beside_the_shapes_that_are_known(record, found):
    with pytest.raises(PoolFileError) as refused:
        convert_records(record)
    for part in ("pool.json", found, "alpaca: instruction", "sharegpt: conversations", "flan_cot: TSV"):
        assert part in str(refused.value)


def test_json_numbers_become_the_text_that_json_writes():
    data = b'[{"question": "?", "answer": 1.10, "id": 12345678901234567890123}, {"question": "?!", "answer": 1e5}]'
    first, second = convert_bytes(data).examples
    assert (first["output"], first["example_id"]) == (json.dumps(1.10), "12345678901234567890123")
    assert second["output"] == json.dumps(1e5)


@pytest.mark.parametrize(
    ("value", "text"), [(["a"], "a"), (True, "true"), (False, "false"), (7, "7"), ({"text": ["a"], "start": [0]}, "a")]
)
def test_an_output_whose_text_is_plain_is_read(value, text):
    assert convert_records(alpaca(output=value)).examples[0]["output"] == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [({"a": 1}, "not text"), ([{"a": 1}], "not text"), (float("nan"), "missing field"), ([], "not text")],
)
def test_an_output_that_is_no_text_is_rejected(value, kind):
    assert convert_records(alpaca(), alpaca(output=value)).summary.reasons == {kind: 1}


def test_a_missing_input_may_be_not_a_number():
    assert convert_records(alpaca(input=float("nan"))).examples == convert_records(alpaca()).examples
