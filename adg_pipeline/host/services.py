"""A service whose processes start more of them: it ends when it is told to, or with whoever started it, and all of them
with it.

Shells start background jobs of scripts with SIGINT ignored, which every child inherits; a service that only waits for
Ctrl-C could never be stopped there. And what is killed leaves its children behind.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from adg_pipeline.host.parent import die_with_parent

_PR_SET_CHILD_SUBREAPER = 36
_ORDERLY_SECONDS = 60.0  # for the service to stop its parts by itself


def serve(command: Sequence[str], grace_seconds: float = 10.0) -> int:
    """Run a command that stops in order on SIGINT. Returns its exit code, or 0 once it was stopped.

    grace_seconds: what is left after that has from SIGTERM to SIGKILL.

    It is stopped by SIGTERM, SIGINT or SIGHUP, and when the parent of this process ends, unless SIGHUP is ignored (nohup).
    Then no process that it has started is left. Only for the main thread of a process that does nothing else.
    """
    stop = threading.Event()
    outlive = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in (signal.SIGINT, signal.SIGTERM, *(() if outlive else (signal.SIGHUP,))):
        signal.signal(number, lambda *_: stop.set())
    if not outlive:
        die_with_parent(signal.SIGTERM)
    _adopt_orphans()
    tied = "from adg_pipeline.host.services import become; import sys; become(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", tied, *command], start_new_session=True)
    while process.poll() is None and not stop.wait(0.5):
        _bury_orphans(but=process.pid)
    code = process.poll()
    if code is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ORDERLY_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if _are_gone(process.pid, grace_seconds):
            break
    return 0 if code is None else code


def become(command: Sequence[str]) -> None:
    """Turn into the command, which stops in order if this process's parent is killed."""
    die_with_parent(signal.SIGINT)
    os.execvp(command[0], list(command))


def _adopt_orphans() -> None:
    # What outlives its own parent comes to this process instead of init, and can be waited for.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _bury_orphans(but: int) -> None:
    """Every run leaves one: unburied, months of them would fill the table of processes."""
    if sys.platform == "linux":
        with suppress(ChildProcessError):
            while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and dead.si_pid != but:
                os.waitpid(dead.si_pid, os.WNOHANG)


def _are_gone(group: int, seconds: float) -> bool:
    """Wait until no process of the group is left, burying those that came to this process."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
