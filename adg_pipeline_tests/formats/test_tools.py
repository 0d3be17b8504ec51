"""Tools and calls of them: one form in the table, whatever form the file has them in."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adg_pipeline_tests.formats.reading import convert_file, convert_records

SPEC = {
    "name": "weather",
    "description": "d",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TOOLS = [{"type": "function", "function": SPEC}]
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
ASK, ANSWER = {"role": "user", "content": "Weather?"}, {"role": "assistant", "content": "Sunny."}
RESULT = {"role": "tool", "content": "sunny", "name": "weather", "tool_call_id": "c1"}


def conversation(calling: dict, **fields) -> dict:
    return {"messages": [ASK, {"role": "assistant", "content": None, **calling}, RESULT, ANSWER], **fields}


@pytest.mark.parametrize(
    "calling",
    [
        {"tool_calls": [CALL]},
        {"tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}]},
        {"tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}}]},
        {"tool_calls": {"name": "weather", "parameters": {"city": "Rome"}}},
        {"tool_calls": json.dumps([CALL])},
        {"tool_calls": [{**CALL, "function": {"name": "weather", "arguments": {"city": "Rome", "unit": None}}}]},
        {"function_call": {"name": "weather", "arguments": '{"city": "Rome"}'}},
        {"function_call": '{"name": "weather", "arguments": {"city": "Rome"}}'},
        {"content": [{"type": "tool_use", "name": "weather", "input": {"city": "Rome"}}]},
        {"role": "function_call", "content": '{"name": "weather", "arguments": {"city": "Rome"}}'},
        {"role": "tool_call", "content": '[{"name": "weather", "arguments": "{\\"city\\": \\"Rome\\"}"}]'},
    ],
)
def test_calls_are_openais_with_arguments_as_an_object(calling):
    (example,) = convert_records(conversation(calling)).examples
    _, called, result, _ = example["messages"]
    assert json.loads(called["tool_calls"]) == [CALL]
    assert (called["role"], called["content"]) == ("assistant", "")
    assert (result["role"], result["tool_name"], result["tool_call_id"]) == ("tool", "weather", "c1")


def test_the_id_of_a_call_is_kept():
    (example,) = convert_records(conversation({"tool_calls": [{**CALL, "id": "c1"}]})).examples
    assert json.loads(example["messages"][1]["tool_calls"]) == [
        {"type": "function", "id": "c1", **{"function": CALL["function"]}}
    ]


def test_a_null_in_arguments_that_are_text_was_written_there_and_stays():
    (example,) = convert_records(conversation({"tool_calls": [{"name": "f", "arguments": '{"a": null}'}]})).examples
    assert json.loads(example["messages"][1]["tool_calls"])[0]["function"]["arguments"] == {"a": None}


def test_nulls_of_a_columnar_file_are_taken_out(tmp_path: Path):
    other = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    records = [conversation({"tool_calls": [CALL]}, tools=TOOLS), conversation({"tool_calls": [other]}, tools=TOOLS)]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "pool.parquet")
    columns, lines = convert_file(tmp_path / "pool.parquet"), convert_records(*records)
    assert columns.examples == lines.examples


@pytest.mark.parametrize("arguments", ["not json", "[1]", 7])
def test_arguments_that_are_no_object_are_rejected(arguments):
    converted = convert_records(
        conversation({"tool_calls": [CALL]}), conversation({"tool_calls": [{"name": "f", "arguments": arguments}]})
    )
    assert converted.summary.reasons == {"malformed tool call": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": TOOLS},
        {"tools": json.dumps(TOOLS)},
        {"tools": [SPEC]},
        {"tools": json.dumps([SPEC])},
        {"tools": [json.dumps(SPEC)]},
        {"tools": SPEC},
        {"functions": [SPEC]},
        {"tools": [{"type": "function", **SPEC}]},
        {"tools": [{"name": "weather", "description": "d", "input_schema": SPEC["parameters"]}]},
        {"tools": [{**SPEC, "parameters": json.dumps(SPEC["parameters"])}]},
    ],
)
def test_tools_are_openais_and_stand_apart_from_the_turns(fields):
    (example,) = convert_records(conversation({"tool_calls": [CALL]}, **fields)).examples
    assert json.loads(example["tools"]) == TOOLS
    assert [turn["role"] for turn in example["messages"]] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("tools", [None, "", "[]", [], "null"])
def test_no_tools_are_no_tools(tools):
    (example,) = convert_records({"messages": [ASK, ANSWER], "tools": tools}).examples
    assert (example["tools"], example["messages"]) == ("", None)


def test_tools_that_are_no_json_are_rejected():
    converted = convert_records({"messages": [ASK, ANSWER]}, {"messages": [ASK, ANSWER], "tools": "weather(city)"})
    assert converted.reasons == ["malformed tools: 'tools' is text that is no JSON"]


def test_tools_beside_a_prompt_make_a_conversation():
    (example,) = convert_records({"prompt": "Weather?", "completion": "Where?", "tools": TOOLS}).examples
    assert (json.loads(example["tools"]), len(example["messages"])) == (TOOLS, 2)


def test_an_answer_that_is_a_call_and_nothing_else_is_the_reference():
    answers = json.dumps([{"name": "weather", "arguments": {"city": "Rome"}}])
    (example,) = convert_records({"query": "Weather?", "answers": answers, "tools": json.dumps([SPEC])}).examples
    assert json.loads(example["messages"][-1]["tool_calls"]) == [CALL]
    assert example["output"] == '{"name": "weather", "arguments": {"city": "Rome"}}'


def test_a_call_in_a_notation_of_its_own_stays_text():
    (example,) = convert_records(conversation({"role": "function_call", "content": "weather(Rome)"})).examples
    assert (example["messages"][1]["content"], example["messages"][1]["tool_calls"]) == ("weather(Rome)", "")


def test_sharegpt_function_calls_and_observations():
    spoken = [
        ("human", "Weather?"),
        ("function_call", json.dumps(CALL["function"])),
        ("observation", "sunny"),
        ("gpt", "Sunny."),
    ]
    turns = [{"from": role, "value": text} for role, text in spoken]
    (example,) = convert_records({"conversations": turns, "system": "Be brief.", "tools": json.dumps([SPEC])}).examples
    assert [turn["role"] for turn in example["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert json.loads(example["messages"][2]["tool_calls"]) == [CALL]
    assert json.loads(example["tools"]) == TOOLS


def test_what_a_tool_gave_back_may_be_an_object():
    record = {
        "messages": [ASK, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": {"t": 20}}, ANSWER]
    }
    (example,) = convert_records(record).examples
    assert example["messages"][2]["content"] == '{"t": 20}'


def test_the_calls_of_a_real_pool_are_all_read(shared):
    examples = convert_file(shared / "data" / "pools" / "glaive_toolcall_en_demo.json").examples
    called = [turn for example in examples for turn in example["messages"] or () if turn["tool_calls"]]
    assert len(called) > 150
    assert not any(turn["content"] for turn in called)
    assert sum(bool(example["tools"]) for example in examples) > 100


@pytest.mark.parametrize(
    "given", ["sunny", [{"type": "text", "text": "sunny"}], [{"type": "text", "text": word} for word in ("sun", "ny")]]
)
def test_what_a_tool_gave_back_in_the_users_turn_is_the_tools(given):
    result = {"type": "tool_result", "tool_use_id": "t1", "content": given, "is_error": False}
    asks = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}
    called = [ASK, {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, asks]}]
    said = {"type": "text", "text": "In a word, please."}
    converted = convert_records(
        {"messages": [*called, {"role": "user", "content": [result]}, ANSWER]},
        {"messages": [*called, {"role": "user", "content": [result, said]}, ANSWER]},
        {"messages": [ASK, {"role": "assistant", "content": [result]}, ANSWER]},
    )
    alone, beside = converted.examples
    _, call, told, _ = alone["messages"]
    assert (call["content"], json.loads(call["tool_calls"])[0]["id"]) == ("Let me see.", "t1")
    assert (told["role"], told["content"], told["tool_call_id"]) == ("tool", "sunny", "t1")
    assert [turn["role"] for turn in beside["messages"]] == ["user", "assistant", "tool", "user", "assistant"]
    assert beside["messages"][3]["content"] == "In a word, please."
    assert "in a turn of assistant" in converted.reasons[0]
    assert converted.summary.unused == {}
