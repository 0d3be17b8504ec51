"""Processes that are started from here: the environment that they inherit, and their end."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adg_pipeline.errors import EndAsked
from adg_pipeline.host.signals import is_to_end_soon

_LOOK_SECONDS = 1.0
_STOP_SECONDS = 20.0


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process, which those that it starts inherit; as they were afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def stop(process: "subprocess.Popen[Any]") -> None:
    """End a process that still runs, because the run was cancelled: by SIGINT, and by force if it takes too long."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def ended_in_time(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """End a process that goes on from where it was stopped: with the block, or before, once the command is to end soon.

    Raises EndAsked at the end of the block where it was ended before it was done.
    """
    left = threading.Event()

    def watch() -> None:
        while not left.wait(_LOOK_SECONDS):
            if is_to_end_soon():
                process.send_signal(signal.SIGINT)
                return

    watcher = threading.Thread(target=watch, name="ended in time", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join()
        stop(process)
    if process.returncode != 0 and is_to_end_soon():
        raise EndAsked("asked to end; what it had is kept")
