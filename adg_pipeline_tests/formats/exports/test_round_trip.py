"""What is exported and read again says the same: every turn, call, tool, system text and mark, in every format.

What a format can't hold is left out by name, which the other tests hold.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.formats.collections import open_collection
from adg_pipeline.formats.convert import convert
from adg_pipeline.formats.exports import FORMATS, NothingHeld, export_subset
from adg_pipeline.formats.schema import RAW_POOL_SCHEMA
from adg_pipeline.settings.sections import RawPoolConfig

words = st.text(st.sampled_from("ab c.,\"'\\\n\té数据🙂{}[]|0"), min_size=1, max_size=20).filter(
    lambda text: bool(text.strip())
)
names = st.sampled_from(["weather", "search", "add_up"])
arguments = st.dictionaries(
    st.sampled_from(["city", "n", "deep"]),
    st.one_of(words, st.integers(-9, 9), st.lists(words, max_size=2)),
    max_size=2,
)
calls = st.lists(st.tuples(names, arguments), min_size=1, max_size=2)


def turn(role: str, content: str, **more: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("reasoning", "tool_calls", "tool_name", "tool_call_id"), "")
    return {"role": role, "content": content, **blank, "learn": True, **more}


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A system text, rounds of question and answer, each maybe by way of tools, with reasoning, or not to be learnt."""
    turns = [turn("system", draw(words))] if draw(st.booleans()) else []
    reasons, marks = draw(st.booleans()), draw(st.booleans())
    rounds = draw(st.integers(1, 3))
    for number in range(rounds):
        turns.append(turn("user", draw(words)))
        if draw(st.booleans()):
            made = [
                {"type": "function", "id": f"c{number}{place}", "function": {"name": name, "arguments": given}}
                for place, (name, given) in enumerate(draw(calls))
            ]
            turns.append(turn("assistant", "", tool_calls=json.dumps(made, ensure_ascii=False)))
            turns += [
                turn("tool", draw(words), tool_name=one["function"]["name"], tool_call_id=one["id"]) for one in made
            ]
        reasoning = draw(words) if reasons else ""
        learn = number == rounds - 1 or not marks
        turns.append(turn("assistant", draw(words), reasoning=reasoning, learn=learn))
    return turns


def said(row: dict[str, Any]) -> list[Any]:
    """What an example says, whatever it is called: made-up ids of calls are no part of it."""
    if not row["messages"]:
        return [
            ["user", user_turn(row["instruction"], row["input"]), "", [], True],
            ["assistant", row["output"], "", [], True],
        ]
    told = []
    for one in row["messages"]:
        made = [call["function"] for call in json.loads(one["tool_calls"] or "[]")]
        plain = [[call["name"], call["arguments"]] for call in made]
        told.append([one["role"], one["content"], one["reasoning"], plain, one["learn"]])
    return told


def ids_of(row: dict[str, Any]) -> list[Any]:
    """Which call each tool's turn answers, and what the calls of each turn are named."""
    return [
        [[call.get("id") for call in json.loads(one["tool_calls"] or "[]")], one["tool_call_id"]]
        for one in row["messages"] or ()
    ]


def as_llamafactory(turns: list[Any]) -> list[Any]:
    """It knows thoughts by their tags, and one turn for what several tools gave back."""
    joined: list[Any] = []
    for role, text, reasoning, *rest in turns:
        if role == "tool" and joined[-1][0] == "tool":
            joined[-1][1] += f"\n\n{text}"
            continue
        joined.append([role, f"<think>\n{reasoning}\n</think>\n\n{text}" if reasoning else text, "", *rest])
    return joined


def tools_of(row: dict[str, Any]) -> list[Any]:
    return [spec.get("function", spec) for spec in json.loads(row["tools"] or "[]")]


def read(path: Path, folder: Path) -> list[dict[str, Any]]:
    if path.is_dir():
        pq.write_table(pa.concat_tables(open_collection(str(path)).tables()), path := folder / "saved.parquet")
    convert(path, folder / "again.parquet", folder / "rejects.jsonl", RawPoolConfig())
    return pq.read_table(folder / "again.parquet").to_pylist()


TOOLS = json.dumps([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}])


def subset_of(turns: list[dict[str, Any]], folder: Path) -> Path:
    """A pool of three: the conversation, one question with input, and one with tools beside it."""
    used = TOOLS if any(one["tool_calls"] for one in turns) else ""
    rows = [
        {"instruction": "unused", "output": turns[-1]["content"], "messages": turns, "tools": used},
        {"instruction": "Translate.", "input": "Größe\n", "output": "size", "messages": None, "tools": ""},
    ]
    lines = [
        json.dumps(
            {"example_id": f"e{number}", "source": "s", "input": "", "content_hash": "", **row}, ensure_ascii=False
        )
        for number, row in enumerate(rows)
    ]
    (folder / "pool.jsonl").write_text("\n".join(lines), encoding="utf-8")
    convert(folder / "pool.jsonl", folder / "subset.parquet", folder / "rejects.jsonl", RawPoolConfig())
    table = pq.read_table(folder / "subset.parquet")
    assert table.num_rows == 2, (folder / "rejects.jsonl").read_text()
    assert table.schema.equals(RAW_POOL_SCHEMA)
    return folder / "subset.parquet"


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "datasets"])
@settings(max_examples=25, deadline=None)
@given(turns=conversations())
def test_what_is_exported_and_read_again_says_the_same(format: Any, turns: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        subset = subset_of(turns, folder)
        told: list[str] = []
        try:
            path, *_ = export_subset(subset, format, folder / "out", say=told.append)
        except NothingHeld:
            return
        again = read(path, folder)
        before = {row["example_id"]: row for row in pq.read_table(subset).to_pylist()}
        if format == "openai":  # its schema has no place for ids, which stand in a file beside it
            ids = [json.loads(line)["id"] for line in (folder / "out" / "adg_subset.ids.jsonl").open()]
            again = [{**row, "example_id": ids[row["row"] - 1]} for row in again]
        assert [row["example_id"] for row in again] == [name for name in before if name != "e0" or not told]
        for row in again:
            expected = said(before[row["example_id"]])
            if format == "llamafactory":
                expected = as_llamafactory(expected)
            assert said(row) == expected
            assert tools_of(row) == tools_of(before[row["example_id"]])
            if format != "openai":  # which has them in the file beside it, too
                assert row["source"] == before[row["example_id"]]["source"]
            if format != "llamafactory":  # which tells calls by their order
                assert ids_of(row) == ids_of(before[row["example_id"]])


def test_a_saved_data_set_read_again_is_the_same_pool(tmp_path: Path) -> None:
    turns = [
        turn("user", "a"),
        turn("assistant", "b", reasoning="r", learn=False),
        turn("user", "c"),
        turn("assistant", "d"),
    ]
    subset = subset_of(turns, tmp_path)
    (path,) = export_subset(subset, "datasets", tmp_path / "out")
    again = read(path, tmp_path)
    assert [row["content_hash"] for row in again] == pq.read_table(subset)["content_hash"].to_pylist()
    assert export_subset(subset, "datasets", tmp_path / "out") == [path]
