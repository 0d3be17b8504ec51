"""The journal of answers that were paid for."""

from pathlib import Path

import pytest

from adg_pipeline.resources.generators.base import Answer
from adg_pipeline.resources.generators.journal import AnswerJournal

ANSWER = Answer("an answer\nof two lines, ünïcode\u2028", "stop", 12, 34)


def test_answers_are_found_again_by_request(tmp_path: Path) -> None:
    with AnswerJournal(tmp_path / "new" / "shard.jsonl") as journal:
        journal.append("a", ANSWER)
        assert journal.get("a") == ANSWER
    with AnswerJournal(journal.path) as journal:
        assert journal.get("a") == ANSWER
        assert journal.get("b") is None


def test_line_torn_off_by_a_crash_is_dropped_and_the_next_stands_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "shard.jsonl"
    with AnswerJournal(path) as journal:
        for name in "abc":
            journal.append(name, ANSWER)
    path.write_bytes(path.read_bytes()[:-20])
    with AnswerJournal(path) as journal:
        assert len(journal) == 2
        assert "line 3 was cut off" in caplog.text
        journal.append("d", ANSWER)
    with AnswerJournal(path) as journal:
        assert [journal.get(name) for name in "abd"] == [ANSWER] * 3


@pytest.mark.parametrize("damage", [b"\0\0\0\n", b"[]\n", b'{"request_id": "x"}\n', b'{"text": "no id"}\n', b"\xff\n"])
def test_damaged_line_costs_only_its_own_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    path = tmp_path / "shard.jsonl"
    with AnswerJournal(path) as journal:
        journal.append("a", ANSWER)
    path.write_bytes(damage + path.read_bytes())
    with AnswerJournal(path) as journal:
        assert journal.get("a") == ANSWER
        assert len(journal) == 1
    assert "line 1 is damaged" in caplog.text


def test_answer_is_on_its_way_to_the_disk_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    with AnswerJournal(tmp_path / "shard.jsonl") as journal:
        journal.append("a", ANSWER)
        assert journal.path.read_bytes().endswith(b"\n")


def test_discarded_journal_is_gone(tmp_path: Path) -> None:
    with AnswerJournal(tmp_path / "shard.jsonl") as journal:
        journal.append("a", ANSWER)
        journal.discard()
    assert not journal.path.exists()
