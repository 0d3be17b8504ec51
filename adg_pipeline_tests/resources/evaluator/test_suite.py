"""Suites: what the paper's one asks, and how a wrong one is told."""

from pathlib import Path

import pytest

from adg_pipeline.errors import SettingsError
from adg_pipeline.resources.evaluator.suite import load_suite, suites


def test_the_suite_of_the_paper_asks_as_the_paper_did() -> None:
    paper = load_suite("paper")
    shots = {task.task: task.shots for task in paper.tasks}
    assert shots == {"bbh": 3, "gsm8k": 8, "mmlu": 4, "truthfulqa_mc2": 0, "mbpp": 1, "humaneval": 0}
    assert paper.groups == {
        "Reasoning": ["bbh", "gsm8k"],
        "Knowledge": ["mmlu", "truthfulqa_mc2"],
        "Coding": ["mbpp", "humaneval"],
    }
    assert paper.running_code == ["mbpp", "humaneval"]


def test_every_suite_that_comes_along_can_be_read() -> None:
    assert {load_suite(name).name for name in suites()} == {"embedded", "paper"}


def test_a_part_of_a_suite_has_a_name_of_its_own_and_only_the_means_that_it_can_have() -> None:
    part = load_suite("paper").only(["gsm8k", "bbh"])
    assert part.name == "paper-bbh-gsm8k"
    assert list(part.groups) == ["Reasoning"]
    assert part.average is None
    assert load_suite("paper").only([]) == load_suite("paper")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tasks: []", "tasks: List should have at least 1 item"),
        ("tasks: [{task: a, metric: acc, shot: 3}]", r"tasks\.0\.shot: Extra inputs are not permitted"),
        ("tasks: [{task: a, metric: acc}]\ngroups: {All: [b]}", "groups name b, which is not among the tasks"),
        ("tasks: [{task: a, metric: acc}, {task: a, metric: f1}]", "a stands twice under tasks"),
        ("tasks: [{task: a, metric: acc}]\ninclude: nowhere", "include: there is no folder"),
        ("- a", "a suite has keys"),
        ("tasks: [", "is no YAML"),
    ],
)
def test_a_wrong_suite_is_told_with_its_file_and_key(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=fault) as told:
        load_suite(str(path))
    assert str(path) in str(told.value)


def test_an_unknown_suite_or_task_is_told_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="neither one of embedded, paper nor a file"):
        load_suite("papers")
    with pytest.raises(SettingsError, match="has no task gsm8; it has bbh, gsm8k, mmlu"):
        load_suite("paper").only(["gsm8"])
