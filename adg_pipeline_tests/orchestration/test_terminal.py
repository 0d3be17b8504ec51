"""What a user sees while runs go on: our own lines in order, nothing of the libraries, a bar on a terminal."""

import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.orchestration import terminal
from adg_pipeline.orchestration.terminal import open_terminal
from adg_pipeline.progress import TERMINAL, ProgressLog, tell


def stage(number: int, of: int, name: str = "generations", **done: Any) -> None:
    tell(stage=name, shard=f"s{number}", number=number, of=of, **done)


def test_only_our_own_lines_reach_standard_error_and_nothing_standard_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_terminal(tmp_path):
        os.write(1, b"a library prints\n")
        os.write(2, b"a library warns\n")
        subprocess.run([sys.executable, "-c", "import sys; print('a child warns', file=sys.stderr)"], check=True)
        tell(line="ours", of_command=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == ["ours", f"what the libraries said: {os.path.relpath(tmp_path / 'adg-run.log')}"]
    said = (tmp_path / "adg-run.log").read_text()
    assert all(words in said for words in ("a library prints", "a library warns", "a child warns"))
    assert TERMINAL not in os.environ


def test_a_silent_run_names_no_file_and_leaves_nothing_in_the_temporary_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(KeyboardInterrupt), open_terminal(tmp_path):
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""
    assert list(temporary.iterdir()) == []


def test_lines_of_other_processes_come_in_order_and_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "from adg_pipeline.progress import tell; [tell(line=f'line {n} ' + 'x' * 5000) for n in range(50)]"
    with open_terminal(tmp_path):
        tell(line="first")
        subprocess.run([sys.executable, "-c", code], check=True)
        tell(line="last")
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(" x")[0] for line in lines] == ["first", *(f"line {n}" for n in range(50)), "last"]
    assert {len(line.partition("x")[2]) for line in lines[1:-1]} == {4999}


def test_a_stage_is_one_line_for_all_its_shards_and_none_where_nothing_was_computed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_terminal(tmp_path):
        for number in (1, 2, 3):
            stage(number, 3, "raw_pool")
            stage(number, 3, "raw_pool", rows=100, computed=False)
        for number in (1, 2):
            stage(number, 3)
            stage(number, 3, rows=1000, computed=True)
        stage(3, 3)
        tell(line="error: generations s3 (3 of 3): put aside: no")
        tell(line="the command goes on", of_command=True)
    assert capfd.readouterr().err.splitlines() == [
        "error: generations s3 (3 of 3): put aside: no",
        "generations: 2 shards, 2,000 rows, 0 s",
        "the command goes on",
    ]


def test_progress_is_a_line_now_and_then_while_nothing_else_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "EVERY_SECONDS", 0.3)
    with open_terminal(tmp_path):
        stage(2, 8)
        log = ProgressLog(lambda line: None, "generations s2", "answers")
        for done in range(1, 7):
            time.sleep(0.25)
            log(done, 10)
    lines = capfd.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 5
    assert lines[0].startswith("generations s2 (2 of 8): ")
    assert "/s, " in lines[0]


def test_on_a_terminal_a_bar_moves_below_the_lines(tmp_path: Path) -> None:
    script = (
        "import time, pathlib, sys\n"
        "from adg_pipeline.orchestration.terminal import open_terminal\n"
        "from adg_pipeline.progress import ProgressLog, tell\n"
        "with open_terminal(pathlib.Path(sys.argv[1])):\n"
        "    tell(line='warning: mind this', of_command=True)\n"
        "    tell(stage='generations', shard='s1', number=1, of=2)\n"
        "    log = ProgressLog(print, 'generations s1', 'answers')\n"
        "    [(time.sleep(0.25), log(n, 6)) for n in range(1, 6)]\n"
        "    tell(stage='generations', shard='s2', number=2, of=2, rows=6, computed=True)\n"
    )
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=child, stdout=child, stderr=child, env=environment
    )
    os.close(child)
    seen = bytearray()

    def read() -> None:
        try:
            while part := os.read(parent, 4096):
                seen.extend(part)
        except OSError:
            pass  # the other end is closed

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(60) == 0
    reader.join(10)
    os.close(parent)
    text = seen.decode()
    assert "mind this" in text
    assert "generations s1 (1 of 2)" in text
    assert "━" in text
    assert "4 of 6 answers" in text
    assert "generations: 1 shard, 6 rows" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


def test_a_run_that_hangs_when_it_is_to_end_is_ended(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal, sys, threading\n"
        "from adg_pipeline.host.signals import signals_kept\n"
        "from adg_pipeline.orchestration import terminal\n"
        "terminal.STOP_SECONDS = 0.5\n"
        "with signals_kept(), terminal.open_terminal(pathlib.Path(sys.argv[1])):\n"
        "    signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    threading.Event().wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 143
    assert done.stderr == "stopped by force; what was finished is kept, the same command goes on from there\n"
