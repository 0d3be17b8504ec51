"""Which turn of a conversation is asked: the last, the first, or every one as an example of its own."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.formats.convert import convert
from adg_pipeline.formats.schema import Message
from adg_pipeline.formats.shapes.draft import Draft, asked_turns
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.workbench import Workbench

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a colour."},
    {"role": "assistant", "content": "Red."},
    {"role": "user", "content": "Another?"},
    {"role": "assistant", "content": "Blue."},
    {"role": "user", "content": "One more?"},
    {"role": "assistant", "content": "Green."},
]
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt", "system": "system"}[turn["role"]], "value": turn["content"]}
    for turn in CHAT
]
RECORDS: dict[str, dict[str, Any]] = {
    "messages": {"id": "c", "messages": CHAT},
    "sharegpt": {"id": "c", "conversations": SHAREGPT},
    "alpaca": {
        "id": "c", "system": "Be brief.", "instruction": "One more?", "output": "Green.",
        "history": [["Name a colour.", "Red."], ["Another?", "Blue."]],
    },
}  # fmt: skip


def read(folder: Path, records: list[dict[str, Any]], **config: Any) -> list[dict[str, Any]]:
    file, table = folder / "pool.jsonl", folder / "table.parquet"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    convert(file, table, folder / "rejects.jsonl", RawPoolConfig.model_validate(config))
    return pl.read_parquet(table, glob=False).to_dicts()


def texts(row: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(turn["role"], turn["content"], turn["learn"]) for turn in row["messages"]]


@pytest.mark.parametrize("shape", RECORDS)
def test_the_last_the_first_or_every_answer_is_the_reference_in_every_shape(tmp_path: Path, shape: str) -> None:
    record = RECORDS[shape]
    (last,) = read(tmp_path, [record])
    assert (last["instruction"], last["output"], len(last["messages"])) == ("One more?", "Green.", 7)
    (first,) = read(tmp_path, [record], asked_turn="first")
    assert (first["example_id"], first["instruction"], first["output"]) == ("c", "Name a colour.", "Red.")
    assert [turn["role"] for turn in first["messages"]] == ["system", "user", "assistant"]
    every = read(tmp_path, [record], asked_turn="every")
    assert [(row["example_id"], row["instruction"], row["output"]) for row in every] == [
        ("c#1", "Name a colour.", "Red."),
        ("c#2", "Another?", "Blue."),
        ("c", "One more?", "Green."),
    ]
    assert [row["row"] for row in every] == [1, 1, 1]
    # Each answer is learnt once.
    assert texts(every[1])[2:] == [
        ("assistant", "Red.", False), ("user", "Another?", True), ("assistant", "Blue.", True)
    ]  # fmt: skip


def test_an_exchange_without_more_is_an_example_like_any_other(tmp_path: Path) -> None:
    (first,) = read(tmp_path, [{"messages": CHAT[1:]}], asked_turn="first")
    (plain,) = read(tmp_path, [{"instruction": "Name a colour.", "output": "Red."}], asked_turn="every")
    assert first["messages"] is None
    assert first["content_hash"] == plain["content_hash"] == first["example_id"]


def test_an_answer_that_may_not_be_learnt_is_asked_for_by_none(tmp_path: Path) -> None:
    marked = [dict(turn) for turn in CHAT]
    marked[2]["weight"] = 0
    every = read(tmp_path, [{"id": "c", "messages": marked}], asked_turn="every")
    assert [row["output"] for row in every] == ["Blue.", "Green."]
    (first,) = read(tmp_path, [{"id": "c", "messages": marked}], asked_turn="first")
    assert first["output"] == "Blue."


def test_a_greeting_of_the_assistant_is_no_answer(tmp_path: Path) -> None:
    greeted = [{"role": "assistant", "content": "Hello!"}, *CHAT[1:5]]
    every = read(tmp_path, [{"id": "c", "messages": greeted}], asked_turn="every")
    assert [row["output"] for row in every] == ["Red.", "Blue."]
    assert texts(every[0])[0] == ("assistant", "Hello!", False)


def test_a_call_of_a_tool_is_an_answer_too(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "look", "arguments": {"at": "sky"}}}
    turns = [
        CHAT[1],
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "blue"},
        {"role": "assistant", "content": "Blue."},
    ]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    every = read(tmp_path, [{"id": "c", "messages": turns, "tools": tools}], asked_turn="every")
    assert [json.loads(every[0]["output"])["name"], every[1]["output"]] == ["look", "Blue."]
    assert all(row["tools"] for row in every)


TURNS = st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.booleans()), min_size=1, max_size=12)


@given(TURNS)
def test_every_answer_that_may_be_learnt_is_one_example_and_learnt_in_it_alone(turns: list[tuple[str, bool]]) -> None:
    messages = [Message("user", "Q")]
    messages += [Message(role, f"{place}", learn=learn) for place, (role, learn) in enumerate(turns)]
    messages.append(Message("assistant", "last"))
    drafts = list(asked_turns(Draft("Q", "", "last", tuple(messages), ""), "every"))
    answers = [turn.content for turn in messages if turn.role == "assistant" and turn.learn]
    assert [draft.output for draft in drafts] == answers
    assert len({draft.id_suffix for draft in drafts}) == len(drafts)
    assert drafts[-1].id_suffix == ""
    for draft in drafts:
        learnt = [turn.content for turn in draft.messages or () if turn.role == "assistant" and turn.learn]
        assert learnt == ([draft.output] if draft.messages else [])
    (first,) = asked_turns(Draft("Q", "", "last", tuple(messages), ""), "first")
    assert first.output == answers[0]


def test_every_answer_is_sampled_scored_and_selected_by_itself(bench: Workbench) -> None:
    del bench.settings["selected_subset"]  # the default budget is nobody's wish
    bench.write_settings()
    bench.add("a", [{"id": "c", "messages": CHAT[1:5]}, {"id": "d", "messages": CHAT}])
    assert bench.adg("run").code == 0
    assert sorted(bench.subset()) == ["c", "d"]
    made = bench.adg("run", "--set", "raw_pool.asked_turn=every")
    assert made.code == 0, made.err
    assert sorted(bench.subset()) == ["c", "c#1", "d", "d#1", "d#2"]
    facts = bench.store.required_provenance("generations", "a").facts
    assert (facts["asked"], facts["reused"]) == (15, 10)  # the last turns' answers were there
    told = bench.adg("explain", "d#1", "--json").json
    assert told["record"]["output"] == "Red."
    assert len(told["generation"]["answers"]) == 5
    assert told["origin"]["record"] == 2
