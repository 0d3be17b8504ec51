"""Loaded by the server that step processes are forked from, and by nothing else: see `step_processes`.

The server ends when the run's worker does, and its steps when it does. By itself it would live as long as any of them.

Ctrl-C, and a signal to the whole group of processes, are for the worker alone, which tells its steps to end and waits for
them. A step that ended by itself in the same moment would leave Dagster waiting for ever for a thread of it to wake.
"""

import os
import signal

from adg_pipeline.host.parent import die_with_parent

_SERVER = os.getpid()


def _tie_step_to_server() -> None:
    # Processes that a step forks in turn inherit this hook, but are the step's own business.
    if os.getppid() == _SERVER:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent()


die_with_parent()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=_tie_step_to_server)
