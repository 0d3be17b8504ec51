"""Answers that are kept: an interrupted evaluation asks the same batches as one that wasn't."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.resources.evaluator.answers import AnswerJournal, KeptAnswers


@dataclass
class Request:
    """What the harness hands a model."""

    args: tuple[Any, ...]


@dataclass
class Echo:
    """A model that answers with its prompt, and remembers the batches."""

    batches: list[list[str]] = field(default_factory=list)
    fails_at: int = -1
    name: str = "echo"
    max_gen_toks: int = 4
    max_length: int = 10

    def tok_encode(self, text: str) -> list[str]:
        return list(text)

    def generate_until(self, requests: list[Request], disable_tqdm: bool = False) -> list[str]:
        if len(self.batches) == self.fails_at:
            raise KeyboardInterrupt
        self.batches.append([request.args[0] for request in requests])
        return [f"{request.args[0]}!" for request in requests]

    def loglikelihood(self, requests: list[Request], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        return [(-1.5, True) for _ in requests]


def asked(*prompts: str, **how: Any) -> list[Any]:
    return [Request((prompt, {"until": ["\n"], **how})) for prompt in prompts]


def kept(model: Echo, path: Path) -> KeptAnswers:
    return KeptAnswers(model, AnswerJournal(path), 2, lambda done, total: None)


def test_an_interrupted_evaluation_makes_the_batches_that_it_would_have_made(tmp_path: Path) -> None:
    requests = asked("a", "b", "c", "d", "e")
    whole = Echo()
    answers = kept(whole, tmp_path / "whole").generate_until(requests)
    first, second = Echo(fails_at=1), Echo()
    with pytest.raises(KeyboardInterrupt):
        kept(first, tmp_path / "cut").generate_until(requests)
    assert kept(second, tmp_path / "cut").generate_until(requests) == answers == ["a!", "b!", "c!", "d!", "e!"]
    assert first.batches + second.batches == whole.batches == [["a", "b"], ["c", "d"], ["e"]]


def test_a_line_that_a_crash_cut_off_costs_its_batch_only(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    kept(Echo(), path).generate_until(asked("a", "b", "c", "d"))
    path.write_bytes(path.read_bytes()[:-5])
    again = Echo()
    assert kept(again, path).generate_until(asked("a", "b", "c", "d")) == ["a!", "b!", "c!", "d!"]
    assert again.batches == [["c", "d"]]


def test_the_same_question_is_asked_once_unless_answers_are_drawn(tmp_path: Path) -> None:
    greedy, drawn = Echo(), Echo()
    assert kept(greedy, tmp_path / "greedy").generate_until(asked("a", "a")) == ["a!", "a!"]
    kept(drawn, tmp_path / "drawn").generate_until(asked("a", "a", do_sample=True))
    assert (greedy.batches, drawn.batches) == ([["a"]], [["a", "a"]])


def test_likelihoods_come_back_as_they_were(tmp_path: Path) -> None:
    requests: list[Any] = [Request(("a", " b"))]
    for _ in range(2):
        assert kept(Echo(), tmp_path / "scores").loglikelihood(requests) == [(-1.5, True)]


def test_all_else_is_the_models_own(tmp_path: Path) -> None:
    assert kept(Echo(), tmp_path / "none").name == "echo"


def test_prompts_that_do_not_fit_with_their_answers_are_counted(tmp_path: Path) -> None:
    model = kept(Echo(), tmp_path / "none")
    model.generate_until(asked("abcdef", "abcdefg", "abcdefg"))  # 6 and 7 letters, 4 of room
    model.generate_until(asked("abcdefgh", max_gen_toks=2))
    assert (len(model.prompts), model.prompts_cut()) == (3, 1)
