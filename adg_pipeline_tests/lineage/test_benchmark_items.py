"""Benchmarks as what a pool may not hold: originals, prepared folders, files in any pool format, told by content."""

import json
import os
from pathlib import Path

import pytest

from adg_pipeline.lineage.benchmark_items import NoItems, benchmark_items, items_digest
from adg_pipeline.resources.evaluator.prepare import prepare_from_folder


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    asked = {"gsm8k/test.jsonl": [("Two?", "2"), ("Three?", "3")], "gsm8k/train.jsonl": [("Learnt?", "4")]}
    for name, pairs in asked.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in pairs]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    (folder / "truthfulqa").mkdir()
    choices = {"mc1_targets": {"No.": 1, "Yes.": 0}, "mc2_targets": {"No.": 1, "Yes.": 0}}
    (folder / "truthfulqa" / "mc_task.json").write_text(
        json.dumps([{"question": "Really?", **choices}]), encoding="utf-8"
    )
    return folder


def test_what_is_asked_is_taken_from_originals_and_from_what_was_prepared(originals: Path, tmp_path: Path) -> None:
    prepare_from_folder(originals, tmp_path / "prepared", lambda line: None)
    found = [(one.benchmark, one.item, one.question, one.answer) for one in benchmark_items(str(originals))]
    assert found == [
        ("openai/gsm8k", "test/1", "Two?", "2"),
        ("openai/gsm8k", "test/2", "Three?", "3"),
        ("truthfulqa/truthful_qa", "multiple_choice/validation/1", "Really?", "No."),
    ]
    assert benchmark_items(str(tmp_path / "prepared")) == benchmark_items(str(originals))


def test_of_a_file_every_record_is_taken(originals: Path) -> None:
    (item,) = benchmark_items(str(originals / "gsm8k" / "train.jsonl"))
    assert (item.benchmark, item.item, item.question, item.answer) == ("train.jsonl", "record 1", "Learnt?", "4")


def test_a_place_without_items_is_named(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(NoItems, match=str(place)):
            benchmark_items(str(place))
    with pytest.raises(NoItems):
        items_digest(str(tmp_path / "none"))
    (tmp_path / "bad.jsonl").write_text('{"question": "", "answer": ""}\n', encoding="utf-8")
    with pytest.raises(NoItems, match=r"bad\.jsonl"):
        benchmark_items(str(tmp_path / "bad.jsonl"))


def test_a_place_counts_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("one", encoding="utf-8")
    before = items_digest(str(file))
    os.utime(file, (1, 1))
    assert items_digest(str(file)) == before
    assert items_digest(str(file.rename(tmp_path / "b.jsonl"))) == before
    (tmp_path / "b.jsonl").write_text("two", encoding="utf-8")
    assert items_digest(str(tmp_path / "b.jsonl")) != before
