"""A service is stopped from wherever it was started, and nothing of it is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

# A service in the manner of `dagster dev`: it stops on SIGINT; its first child ends with it, the second outlives it, and the
# third won't even hear of SIGTERM.
SERVICE = """
import signal, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
deafen = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
deaf = [sys.executable, "-c", f"import signal, time; {deafen}; time.sleep(1000)"]
first, second = subprocess.Popen(sleep), subprocess.Popen(sleep)
third = subprocess.Popen(deaf, stdout=subprocess.PIPE)
third.stdout.readline()
open(sys.argv[1], "w").write(f"{first.pid} {second.pid} {third.pid}\\n")
try:
    time.sleep(1000)
except KeyboardInterrupt:
    first.kill()
    open(sys.argv[1], "a").write("in order\\n")
"""
SERVE = "import sys; from adg_pipeline.host.services import serve; sys.exit(serve(sys.argv[1:], grace_seconds=0.5))"


class Started:
    """A service that a shell which isn't interactive runs in the background, so that it is born deaf to SIGINT."""

    def __init__(self, folder: Path, code: str = SERVICE, before: str = "") -> None:
        self.notes = folder / "notes"
        command = [sys.executable, "-c", SERVE, sys.executable, "-c", code, str(self.notes)]
        script = f'{before} "$@" & echo $!; wait $!'
        self.shell = subprocess.Popen(
            ["sh", "-c", script, "sh", *command], stdout=subprocess.PIPE, cwd=folder, preexec_fn=_hear_hang_ups
        )
        assert self.shell.stdout is not None
        self.service = psutil.Process(int(self.shell.stdout.readline()))

    def wait_for_family(self) -> list[psutil.Process]:
        wait_until(lambda: self.notes.exists() and self.notes.read_text().endswith("\n"))
        family = self.service.children(recursive=True)
        assert len(family) == 4
        return [self.service, *family]


def _hear_hang_ups() -> None:
    """These tests may themselves run under nohup, which every child would inherit."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_until(seen: Callable[[], object]) -> None:
    while not seen():
        time.sleep(0.02)


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_service_in_the_background_of_a_script_is_stopped_in_order_with_all_its_children(
    tmp_path: Path, number: signal.Signals
) -> None:
    started = Started(tmp_path)
    family = started.wait_for_family()
    started.service.send_signal(number)
    assert started.shell.wait() == 0
    assert [process for process in family if lives(process)] == []
    assert started.notes.read_text().endswith("in order\n")


def test_a_service_ends_with_whoever_started_it(tmp_path: Path) -> None:
    started = Started(tmp_path)
    family = started.wait_for_family()
    started.shell.kill()
    started.shell.wait()
    wait_until(lambda: not any(lives(process) for process in family))
    assert started.notes.read_text().endswith("in order\n")


def test_a_service_whose_keeper_is_killed_stops_in_order(tmp_path: Path) -> None:
    started = Started(tmp_path)
    family = started.wait_for_family()
    started.service.kill()
    started.shell.wait()
    wait_until(lambda: started.notes.read_text().endswith("in order\n"))
    for process in family:  # nobody is left to end what the service itself leaves behind
        if lives(process):
            process.kill()


def test_under_nohup_a_service_outlives_its_shell(tmp_path: Path) -> None:
    started = Started(tmp_path, before="trap '' HUP;")
    family = started.wait_for_family()
    started.service.send_signal(signal.SIGHUP)
    started.shell.kill()
    started.shell.wait()
    os.kill(started.service.pid, 0)
    assert all(lives(process) for process in family)
    started.service.terminate()
    wait_until(lambda: not any(lives(process) for process in family))


def test_a_service_that_ends_by_itself_tells_its_code_and_leaves_nothing(tmp_path: Path) -> None:
    code = SERVICE.replace("time.sleep(1000)\nexcept", "sys.exit(7)\nexcept")
    started = Started(tmp_path, code)
    assert started.shell.wait() == 7
    pids = [int(pid) for pid in started.notes.read_text().split()]
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_what_outlived_its_parent_is_buried_once_it_ends(tmp_path: Path) -> None:
    orphan = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', '']).pid, file=open(sys.argv[1], 'a'))"
    )
    code = f"import subprocess, sys, time\nfor _ in range(3): subprocess.run([sys.executable, '-c', {orphan!r}, sys.argv[1]])"
    started = Started(tmp_path, f"{code}\ntime.sleep(1000)")
    wait_until(lambda: started.notes.exists() and started.notes.read_text().count("\n") == 3)
    pids = [int(pid) for pid in started.notes.read_text().split()]
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    started.service.terminate()
    assert started.shell.wait() == 0
