"""Rows that a command prints: a table on a terminal, plain columns for a script."""

import json
import os
import pty
import subprocess
import sys

ROWS = [{"shard": "a [1]", "rows": 1200, "why": None}, {"shard": "b", "rows": 7, "why": "too long"}]
PROGRAM = f"from adg_pipeline.cli.output import print_rows; print_rows({ROWS!r}, False)"


def on_terminal(columns: int) -> list[str]:
    """What a terminal of that width shows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0
    os.close(ours)
    return shown.decode().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


def test_a_script_gets_plain_columns() -> None:
    plain = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    assert plain.splitlines() == ["shard  rows  why", "a [1]  1200  -", "b      7     too long"]


def test_a_terminal_gets_a_table_with_its_figures_below_each_other() -> None:
    lines = on_terminal(80)
    assert next(line.split() for line in lines if line.strip()) == ["shard", "rows", "why"]
    (first,) = (line for line in lines if "a [1]" in line)
    (second,) = (line for line in lines if "too long" in line)
    assert first.index("1200") + 4 == second.index("7") + 1


def test_nothing_of_a_cell_is_lost_on_a_narrow_terminal() -> None:
    words = " ".join(on_terminal(20)).split()
    assert {"a", "[1]", "1200", "7", "too", "long"} <= set(words)


def test_json_is_the_same_on_both() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("False", "True")], check=True, capture_output=True, text=True
    )
    assert json.loads(told.stdout) == ROWS
