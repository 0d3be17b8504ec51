"""Each export is read by what it is for: datasets, TRL, or the schema that its reader documents."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from adg_pipeline.cli.export import FORMATS as OFFERED
from adg_pipeline.cli.export import export as command
from adg_pipeline.formats.exports import FORMATS, export_subset
from adg_pipeline.formats.exports.card import card_of
from adg_pipeline_tests.formats.exports.test_round_trip import subset_of, turn

CALLS = json.dumps([{"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}])
OTHER = json.dumps([{"type": "function", "id": "x", "function": {"name": "add", "arguments": {"n": 3, "deep": True}}}])
TURNS = [
    turn("system", "Be brief."),
    turn("user", "Weather?"),
    turn("assistant", "", tool_calls=CALLS),
    turn("tool", "sunny", tool_name="weather"),
    turn("assistant", "Sunny.", learn=False),
    turn("user", "Add."),
    turn("assistant", "", tool_calls=OTHER),
    turn("tool", "4", tool_call_id="x"),
    turn("assistant", "Four."),
]


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    return subset_of(TURNS, tmp_path)


def test_the_command_offers_every_format() -> None:
    assert set(OFFERED) == set(FORMATS)
    shown = CliRunner().invoke(command, ["--help"]).output
    assert all(name in shown for name in FORMATS)


@pytest.mark.parametrize("format", ["messages", "axolotl", "trl", "openai", "parquet", "datasets"])
def test_datasets_loads_it_with_every_argument_as_it_was(format: Any, subset: Path, tmp_path: Path) -> None:
    import datasets

    path, *_ = export_subset(subset, format, tmp_path / "out")
    if format == "datasets":
        loaded = datasets.load_from_disk(str(path))
    else:
        kind = "parquet" if format == "parquet" else "json"
        loaded = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 2
    row = loaded[0]
    turns = row["prompt"] + row["completion"] if format == "trl" else row["messages"]
    called = [call for one in turns for call in loads(one.get("tool_calls") or [])]
    assert [loads(call["function"]["arguments"]) for call in called] == [{"city": "Rome"}, {"n": 3, "deep": True}]
    assert [one["role"] for one in turns] == [one["role"] for one in TURNS]


def loads(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}"
    "{% for call in message.tool_calls or [] %}{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}"
    "</s>{% endfor %}"
)


def test_trl_learns_the_completion_and_nothing_of_the_prompt(subset: Path, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl.data_utils import apply_chat_template, is_conversational

    from adg_pipeline.models.backbones import resolve_backbone
    from adg_pipeline.models.tokenizers import load_tokenizer

    (path,) = export_subset(subset, "trl", tmp_path / "out")
    loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    tokenizer = load_tokenizer(resolve_backbone("embedded"))
    tokenizer.chat_template = TEMPLATE
    told = [apply_chat_template(dict(row), tokenizer) for row in loaded if is_conversational(row)]
    assert told[0]["completion"] == "<assistant>Four.</s>"
    assert told[0]["prompt"].startswith("<system>Be brief.</s><user>Weather?</s>")
    assert 'add{"deep": true, "n": 3}' in told[0]["prompt"].replace('"n": 3, "deep": true', '"deep": true, "n": 3')
    assert told[1] == {"prompt": "<user>Translate.\nGröße\n</s>", "completion": "<assistant>size</s>"}


def test_openai_has_what_its_schema_names_and_no_more(subset: Path, tmp_path: Path) -> None:
    path, ids = export_subset(subset, "openai", tmp_path / "out")
    allowed = {
        "system": {"role", "content"},
        "user": {"role", "content"},
        "assistant": {"role", "content", "tool_calls", "weight"},
        "tool": {"role", "content", "tool_call_id"},
    }
    for record in map(json.loads, path.read_text("utf-8").splitlines()):
        assert record.keys() <= {"messages", "tools"}
        assert record["messages"][-1]["role"] == "assistant"
        waiting: set[str] = set()
        for message in record["messages"]:
            assert message.keys() <= allowed[message["role"]]
            if message["role"] == "tool":
                waiting.remove(message["tool_call_id"])
            for call in message.get("tool_calls", ()):
                assert call.keys() == {"id", "type", "function"}
                assert isinstance(json.loads(call["function"]["arguments"]), dict)
                waiting.add(call["id"])
            assert message.get("weight", 0) == 0
        assert not waiting
    assert [json.loads(line) for line in ids.read_text("utf-8").splitlines()] == [
        {"id": name, "source": "s"} for name in ("e0", "e1")
    ]


@pytest.mark.parametrize(
    ("turns", "what"),
    [
        ([turn("user", "a"), turn("assistant", "b", reasoning="r")], "reasoning apart from the answer"),
        ([turn("user", "a"), turn("tool", "t"), turn("assistant", "b")], "a tool's answer to no call"),
        (
            [turn("user", "a"), turn("assistant", "", tool_calls=CALLS), turn("user", "c"), turn("assistant", "b")],
            "a call without its tool's answer",
        ),
    ],
)
def test_what_openai_would_refuse_is_left_out_by_name(turns: Any, what: str, tmp_path: Path) -> None:
    said: list[str] = []
    _, ids = export_subset(subset_of(turns, tmp_path), "openai", tmp_path / "out", say=said.append)
    assert said == [f"1 examples left out, which openai can't hold: 1 × {what}"]
    assert len(ids.read_text("utf-8").splitlines()) == 1


def test_axolotl_learns_what_is_marked_and_its_config_names_the_file(subset: Path, tmp_path: Path) -> None:
    path, snippet = export_subset(subset, "axolotl", tmp_path / "out: it's")
    (read,) = yaml.safe_load(snippet.read_text("utf-8"))["datasets"]
    assert Path(read["path"]) == path
    first = json.loads(path.read_text("utf-8").splitlines()[0])
    trained = [
        message["content"] for message in first[read["field_messages"]] if message[read["message_field_training"]]
    ]
    assert trained == ["", "", "Four."]
    assert all(set(read["message_property_mappings"].values()) <= message.keys() for message in first["messages"])


def test_trl_conversations_leave_out_what_would_be_learnt_against_its_mark(subset: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (path,) = export_subset(subset, "trl-messages", tmp_path / "out", say=said.append)
    assert "turns that must not be learnt" in said[0]
    assert len(path.read_text("utf-8").splitlines()) == 1


MANIFEST = {
    "arm": "adg",
    "key": "k",
    "config": {"budget": 2},
    "made_at": "2026-01-02T00:00:00+00:00",
    "recipes": {
        "generations": {"backbone": {"content": "sha256:1"}, "samples": 5},
        "answer_embeddings": {"embedder": "x"},
    },
    "bins": {"bins": 3},
    "shards": {"a": {}},
    "counts": {
        "pool": 5,
        "eligible": 3,
        "selected": 2,
        "left_out": {"a | b": 2},
        "selected_by_source": {"s": 2},
    },
    "stability": {"mean": 0.5},
    "packages": {"numpy": "2"},
}


@pytest.mark.parametrize("format", ["messages", "parquet", "openai"])
def test_the_card_makes_a_folder_that_the_hub_and_datasets_read(format: Any, subset: Path, tmp_path: Path) -> None:
    import datasets

    out = tmp_path / "out"
    files = export_subset(subset, format, out)
    text = card_of(MANIFEST, "abc", files)
    (out / "README.md").write_text(text, encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["configs"][0]["data_files"][0]["path"] == files[0].name
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == pq.read_metadata(subset).num_rows
    assert r"| left out: a \| b | -2 |" in text
