"""Progress: a true rate, one line every few seconds, and nothing more."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from adg_pipeline import progress
from adg_pipeline.progress import ProgressLog, described, duration, is_for_the_log


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(progress, "tell", lambda **what: told.append(what))
    return told


def work(clock: Clock, log: Callable[[int, int], None], total: int, per_second: float, batch: int = 1) -> None:
    for done in range(1, total + 1):
        if (done - 1) % batch == 0:
            clock.now += batch / per_second
        log(done, total)


def test_results_one_by_one_make_a_line_every_five_seconds_with_their_rate(clock: Clock) -> None:
    lines: list[str] = []
    work(clock, ProgressLog(lines.append, "generations a", "answers"), 320, per_second=8)
    assert lines == [
        f"generations a: {done} of 320 answers ({done / 320:.0%}), 8.0/s, {duration((320 - done) / 8)} left"
        for done in range(40, 320, 40)
    ]


def test_the_first_line_has_the_rate_of_what_came_before_it(clock: Clock) -> None:
    lines: list[str] = []
    log = ProgressLog(lines.append, "embedding", "instructions")
    clock.now += 28  # one batch takes longer than lines are apart
    log(512, 2048)
    assert lines == ["embedding: 512 of 2,048 instructions (25%), 18.3/s, 84 s left"]


def test_a_single_call_says_nothing(clock: Clock) -> None:
    """All at once after a minute: whoever asked for it says so, and a rate of 0 would be false."""
    lines: list[str] = []
    log = ProgressLog(lines.append, "answer_embeddings a", "instructions")
    clock.now += 60
    log(100, 100)
    assert lines == []


def test_bursts_never_look_faster_than_they_are_and_reach_the_terminal_to_the_last(
    clock: Clock, told: list[dict[str, Any]]
) -> None:
    work(clock, ProgressLog(lambda line: None, "generations a", "answers"), 1000, per_second=10, batch=250)
    rates = [what["rate"] for what in told if what["rate"] is not None]
    assert max(rates) <= 10.0 + 1e-9
    assert rates[-1] == pytest.approx(10.0)
    assert told[-1]["done"] == 1000
    assert len(told) <= 110


def test_a_rate_is_that_of_the_last_minute(clock: Clock, told: list[dict[str, Any]]) -> None:
    log = ProgressLog(lambda line: None, "generations a", "answers")
    clock.now += 600  # a slow beginning
    log(1, 10_000)
    for done in range(100, 10_000, 100):
        clock.now += 1
        log(done, 10_000)
    assert told[-1]["rate"] == pytest.approx(100, rel=0.02)


def test_lines_are_marked_as_the_logs_own() -> None:
    marks: list[bool] = []
    log = ProgressLog(lambda line: marks.append(is_for_the_log()), "a", "rows", every=0)
    for done in range(1, 4):
        log(done, 100)
    assert marks
    assert all(marks)
    assert not is_for_the_log()


def test_nobody_listens_where_no_command_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv(progress.TERMINAL, raising=False)
    assert not progress.tell(line="a line")
    monkeypatch.setenv(progress.TERMINAL, str(tmp_path / "gone"))
    assert not progress.tell(line="a line")


def test_what_is_said_of_progress() -> None:
    assert described(1200, 5000, "answers", 30.08) == "1,200 of 5,000 answers (24%), 30.1/s, 2 min left"
    assert described(1, 5000, "answers", None) == "1 of 5,000 answers (0%)"
    assert described(0, 0, "bytes", 0.0) == "0 of 0 bytes"
    assert described(2, 25, "trainings", 1 / 24) == "2 of 25 trainings (8%), 2.5/min, 9 min left"
    assert described(1, 2, "shards", 1 / 900) == "1 of 2 shards (50%), 4.0/h, 15 min left"
    assert [duration(seconds) for seconds in (45, 700, 12_300)] == ["45 s", "12 min", "3.4 h"]


def test_the_longest_of_lines_arrives(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(tmp_path / "t"))
        monkeypatch.setenv(progress.TERMINAL, str(tmp_path / "t"))
        for character in ("x", "中", "😀"):
            assert progress.tell(line=character * 1_000_000)
            assert json.loads(inbox.recv(1 << 20))["line"].startswith(character * 1000)
