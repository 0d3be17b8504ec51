"""Subsets as trainers read them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adg_pipeline.formats.convert import convert
from adg_pipeline.formats.exports import ExportExists, export_subset
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import alpaca, convert_file

RECORDS = [
    alpaca("Translate.", "Größe", input="size", id="r1"),
    alpaca("And now?", "Four.", history=[["2 + 1?", "Three."]], system="Be brief.", id="r2"),
    {
        "instruction": "unused",
        "output": "unused",
        "id": "r3",
        "conversations": [
            {"from": "gpt", "value": "Hello!"},
            {"from": "human", "value": "Weather?"},
            {"from": "human", "value": "In Rome."},
            {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Rome"}}'},
            {"from": "observation", "value": "sunny"},
            {"from": "gpt", "value": "Sunny."},
        ],
        "tools": '[{"name": "weather", "description": "d"}]',
    },
]


@pytest.fixture
def subset(tmp_path):
    """Raw-pool rows of every kind, with the columns that a selection adds."""
    tables = []
    for number, record in enumerate(RECORDS):
        pool = tmp_path / f"{number}.jsonl"
        pool.write_text(json.dumps(record), "utf-8")
        convert(pool, tmp_path / "table.parquet", tmp_path / "rejects.jsonl", RawPoolConfig(), source="s")
        tables.append(pq.read_table(tmp_path / "table.parquet"))
    path = tmp_path / "subset.parquet"
    pq.write_table(pa.concat_tables(tables).append_column("score", pa.array([0.3, 0.2, 0.1])), path)
    return path


def test_alpaca_keeps_the_turns_of_a_conversation_in_its_history(subset, tmp_path):
    (path,) = export_subset(subset, "alpaca", tmp_path / "out")
    single, multi = json.loads(path.read_text("utf-8"))
    assert single == {**RECORDS[0], "id": "r1", "source": "s", "system": "", "history": []}
    assert multi == {**RECORDS[1], "id": "r2", "source": "s", "input": ""}


def test_what_a_format_cannot_hold_is_left_out_by_name_and_number(subset, tmp_path):
    said: list[str] = []
    (path,) = export_subset(subset, "alpaca", tmp_path / "out", say=said.append)
    assert said == ["1 examples left out, which alpaca can't hold: 1 × tools"]
    assert "sunny" not in path.read_text("utf-8")


def test_a_format_that_can_hold_nothing_is_refused_and_writes_nothing(subset, tmp_path):
    tools = tmp_path / "tools.parquet"
    pq.write_table(pq.read_table(subset).slice(2), tools)
    with pytest.raises(ValueError, match=r"alpaca can hold no example.*1 × tools"):
        export_subset(tools, "alpaca", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_alpaca_export_read_again_is_the_same_pool(subset, tmp_path):
    (path,) = export_subset(subset, "alpaca", tmp_path / "out")
    rows = pq.read_table(subset).to_pylist()[:2]
    again = convert_file(path).examples[:2]
    for column in ("example_id", "content_hash", "messages"):
        assert [row[column] for row in again] == [row[column] for row in rows]


def test_messages_hold_every_turn(subset, tmp_path):
    (path,) = export_subset(subset, "messages", tmp_path / "out")
    single, multi, tools = map(json.loads, path.read_text("utf-8").splitlines())
    assert single["messages"] == [
        {"role": "user", "content": "Translate.\nsize"},
        {"role": "assistant", "content": "Größe"},
    ]
    assert [turn["role"] for turn in multi["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert [turn["role"] for turn in tools["messages"]][-2:] == ["tool", "assistant"]
    assert tools["messages"][3] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}],
    }
    assert tools["tools"] == [{"type": "function", "function": {"name": "weather", "description": "d"}}]
    assert single["id"] == "r1"


def test_parquet_is_the_subset_with_all_its_columns(subset, tmp_path):
    (path,) = export_subset(subset, "parquet", tmp_path / "out", name="best")
    assert path.name == "best.parquet"
    assert pq.read_table(path).equals(pq.read_table(subset))


def test_llamafactory_conversations_alternate_as_it_demands(subset, tmp_path):
    data, info = export_subset(subset, "llamafactory", tmp_path / "out")
    records = json.loads(data.read_text("utf-8"))
    for record in records:
        tags = [turn["from"] for turn in record["conversations"]]
        assert len(tags) % 2 == 0
        assert all(tag in ("human", "observation") for tag in tags[::2])
        assert all(tag in ("gpt", "function_call") for tag in tags[1::2])
    called = records[2]["conversations"][3]
    assert (called["from"], json.loads(called["value"])) == (
        "function_call",
        {"name": "weather", "arguments": {"city": "Rome"}},
    )
    assert json.loads(records[2]["tools"]) == [{"name": "weather", "description": "d"}]
    assert [record["system"] for record in records] == ["", "Be brief.", ""]
    assert records[0]["conversations"][0]["value"] == "Translate.\nsize"
    entry = json.loads(info.read_text())["adg_subset"]
    assert entry["formatting"] == "sharegpt"
    assert (info.parent / entry["file_name"]) == data
    assert set(entry["columns"].values()) <= set(records[0])


def test_other_entries_of_dataset_info_stay(subset, tmp_path):
    info = tmp_path / "dataset_info.json"
    info.write_text('{"mine": {"file_name": "mine.json"}}')
    export_subset(subset, "llamafactory", tmp_path)
    assert set(json.loads(info.read_text())) == {"mine", "adg_subset"}
    info.write_text("[")
    with pytest.raises(ValueError, match=r"dataset_info\.json"):
        export_subset(subset, "llamafactory", tmp_path)


def row_of(tmp_path, record):
    pool = tmp_path / "one.jsonl"
    pool.write_text(json.dumps(record), "utf-8")
    convert(pool, tmp_path / "one.parquet", tmp_path / "rejects.jsonl", RawPoolConfig())
    return tmp_path / "one.parquet"


def test_reasoning_and_turns_that_must_not_be_learnt_reach_the_formats_that_hold_them(tmp_path):
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d", "reasoning_content": "r"},
    ]
    table = row_of(tmp_path, {"messages": turns})
    (path,) = export_subset(table, "messages", tmp_path / "out")
    assert json.loads(path.read_text("utf-8"))["messages"] == turns
    with pytest.raises(ValueError, match="turns that must not be learnt"):
        export_subset(table, "llamafactory", tmp_path / "out")
    table = row_of(tmp_path, {"messages": [turns[0], turns[3]]})
    data, _ = export_subset(table, "llamafactory", tmp_path / "out")
    assert json.loads(data.read_text("utf-8"))[0]["conversations"][1]["value"] == "<think>\nr\n</think>\n\nd"
    with pytest.raises(ValueError, match="reasoning"):
        export_subset(table, "alpaca", tmp_path / "out")


def test_messages_read_again_are_the_same_pool(subset, tmp_path):
    (path,) = export_subset(subset, "messages", tmp_path / "out")
    rows = pq.read_table(subset).to_pylist()[1:]
    again = convert_file(path).examples[1:]
    for column in ("example_id", "source", "content_hash", "messages", "tools"):
        assert [row[column] for row in again] == [row[column] for row in rows]


def test_an_unknown_format_names_the_known_ones(subset, tmp_path):
    with pytest.raises(ValueError, match="alpaca, messages, parquet, llamafactory"):
        export_subset(subset, "csv", tmp_path)  # type: ignore[arg-type]


def test_an_empty_subset_gives_valid_files(subset, tmp_path):
    empty = tmp_path / "empty.parquet"
    pq.write_table(pq.read_table(subset).slice(0, 0), empty)
    assert json.loads(export_subset(empty, "alpaca", tmp_path)[0].read_text()) == []
    assert export_subset(empty, "messages", tmp_path)[0].read_text() == ""


def test_real_conversations_survive_an_alpaca_export(shared, tmp_path):
    table, rejects = tmp_path / "table.parquet", tmp_path / "rejects.jsonl"
    convert(shared / "data" / "pools" / "lima.json", table, rejects, RawPoolConfig())
    (path,) = export_subset(table, "alpaca", tmp_path)
    assert convert_file(path).examples == pq.read_table(table).to_pylist()


@pytest.mark.parametrize("format", ["alpaca", "messages", "parquet", "llamafactory"])
def test_another_export_is_not_overwritten_unasked_and_the_same_one_again_is_fine(subset, tmp_path, format):
    out = tmp_path / "out"
    first = {path: path.read_bytes() for path in export_subset(subset, format, out)}
    export_subset(subset, format, out)
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(subset).slice(0, 1), other)
    with pytest.raises(ExportExists, match=r"there is another export.*--replace"):
        export_subset(other, format, out)
    assert {path: path.read_bytes() for path in first} == first
    assert sorted(out.iterdir()) == sorted(first)
    export_subset(other, format, out, name="random_subset")
    assert all(path.read_bytes() == data for path, data in first.items() if path.name != "dataset_info.json")
    export_subset(other, format, out, replace=True)
    (path, *_) = first
    assert path.read_bytes() != first[path]


def test_an_entry_of_dataset_info_for_something_else_is_not_overwritten_unasked(subset, tmp_path):
    info = tmp_path / "dataset_info.json"
    info.write_text('{"adg_subset": {"file_name": "mine.json"}}')
    with pytest.raises(ExportExists, match=r"dataset_info\.json, entry adg_subset"):
        export_subset(subset, "llamafactory", tmp_path)
    assert not (tmp_path / "adg_subset.json").exists()
