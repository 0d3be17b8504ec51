"""Loaded by the server that step processes are forked from, and by nothing else: see `step_processes`.

The server ends when the run's worker does, and its steps when it does. By itself it would live as long as any of them.
"""

import os

from adg_pipeline.host.parent import die_with_parent

_SERVER = os.getpid()


def _tie_step_to_server() -> None:
    # Processes that a step forks in turn inherit this hook, but are the step's own business.
    if os.getppid() == _SERVER:
        die_with_parent()


die_with_parent()
os.register_at_fork(after_in_child=_tie_step_to_server)
