"""What the terminal shows while runs go on: our own lines, a bar where somebody looks, and nothing of the libraries.

Steps write their standard streams into Dagster's compute logs, which are mirrored to the streams of the command; there the
libraries' warnings and Dagster's own words would drown what a user must read. So while runs go on the command's streams lead
to a file, and its lines go to the stream that it was started with. Steps that run in processes of their own send their
lines and their progress through a socket, as those in this process do: lines stay in order.
"""

import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from adg_pipeline.host.signals import signal_that_came
from adg_pipeline.progress import EVERY_SECONDS, TERMINAL, described, duration, tell

LIBRARIES_LOG = "adg-run.log"
IDLE_SECONDS = 0.2

# A run has this long to end once somebody wants it to: a training writes what it has for up to 20 s. Past it, the run hangs:
# Dagster waits for ever where it tells a step process to end that ended a moment before.
STOP_SECONDS = 45.0


@contextmanager
def open_terminal(home: Path) -> Iterator[None]:
    """Until the block ends, what is told goes to standard error as it is now, and all else to a file in `home`.

    At the end it says where that file is, if there is anything in it.
    """
    log = home / LIBRARIES_LOG
    folder = Path(tempfile.mkdtemp(prefix="adg-", dir="/tmp" if len(tempfile.gettempdir()) > 60 else None))
    address = str(folder / "terminal")  # a socket's path has an end, near 100 characters
    screen = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox, screen:
        inbox.bind(address)
        inbox.settimeout(IDLE_SECONDS)
        listener = threading.Thread(target=_listen, args=(inbox, screen), name="terminal", daemon=True)
        listener.start()
        outer = os.environ.get(TERMINAL)
        os.environ[TERMINAL] = address
        try:
            with _streams_into(log):
                yield
        finally:
            if log.stat().st_size:
                tell(line=f"what the libraries said: {os.path.relpath(log)}", of_command=True)
            tell(stop=True)
            listener.join()
            os.environ.pop(TERMINAL) if outer is None else os.environ.update({TERMINAL: outer})
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _streams_into(log: Path) -> Iterator[None]:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    kept = {stream: os.dup(stream) for stream in (1, 2)}
    try:
        for stream in kept:
            os.dup2(file, stream)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, copy in kept.items():
            os.dup2(copy, stream)
            os.close(copy)
        os.close(file)


def _listen(inbox: socket.socket, screen: TextIO) -> None:
    with _view(screen) as view:
        stopping_since: float | None = None
        while True:
            if (number := signal_that_came()) is not None:
                stopping_since = stopping_since or time.monotonic()
                if time.monotonic() - stopping_since > STOP_SECONDS:
                    break
            try:
                message = json.loads(inbox.recv(1 << 20))
            except TimeoutError:
                view.idle()
                continue
            if "stop" in message:
                view.summarise()
                return
            view.take(message)
    print("stopped by force; what was finished is kept, the same command goes on from there", file=screen, flush=True)
    shutil.rmtree(Path(inbox.getsockname()).parent, ignore_errors=True)
    os._exit(128 + number)  # steps end with the process, and the next look marks their run as failed


@contextmanager
def _view(screen: TextIO) -> "Iterator[View]":
    if not screen.isatty() or os.environ.get("TERM") in (None, "dumb"):
        yield View(screen)
        return
    columns = (
        TextColumn("{task.fields[label]}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
    )
    console = Console(file=screen)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bars:
        yield BarView(screen, bars)


@dataclass
class Stage:
    """One asset's loop over the shards of a run: the shard at hand, and what was computed so far."""

    started: float
    shard: str = ""
    number: int = 0
    of: int = 0
    computed: int = 0
    rows: int = 0


class View:
    """Lines: those that are told, one for each stage that computed something, and the progress while nothing else is said."""

    def __init__(self, screen: TextIO) -> None:
        self._screen = screen
        self._last = time.monotonic()
        self._stages: dict[str, Stage] = {}
        self._progress = ""

    def take(self, message: dict[str, Any]) -> None:
        if "line" in message:
            if message.get("of_command"):
                self.summarise()
            self._print(message["line"])
        elif "bar" in message:
            self._bar(message)
        elif "stage" in message:
            self._stage(message)

    def summarise(self) -> None:
        """Say what the stages computed that were not told yet."""
        for name in list(self._stages):
            self._finish(name)

    def _stage(self, message: dict[str, Any]) -> None:
        name = message["stage"]
        stage = self._stages.setdefault(name, Stage(time.monotonic()))
        stage.shard, stage.number, stage.of = message["shard"], message["number"], message["of"]
        if "rows" in message and message["computed"]:
            stage.computed += 1
            stage.rows += message["rows"]
        if "rows" in message and stage.number == stage.of:
            self._finish(name)

    def _finish(self, name: str) -> None:
        stage = self._stages.pop(name)
        if stage.computed:
            shards = f"{stage.computed} shard{'s' if stage.computed > 1 else ''}"
            self._print(f"{name}: {shards}, {stage.rows:,} rows, {duration(time.monotonic() - stage.started)}")

    def idle(self) -> None:
        """Called when nothing was told for a moment: a burst of results has ended."""
        if self._progress and time.monotonic() - self._last >= EVERY_SECONDS:
            self._print(self._progress)
            self._progress = ""

    def _bar(self, message: dict[str, Any]) -> None:
        done, total, rate = message["done"], message["total"], message["rate"]
        said = described(done, total, message["unit"], rate)
        self._progress = f"{self._label(message['bar'])}: {said}" if rate is not None and done < total else ""
        if time.monotonic() - self._last >= EVERY_SECONDS + 1:  # results come without a pause
            self.idle()

    def _label(self, bar: str) -> str:
        """``generations pool-00001 (2 of 8)``."""
        stage = self._stages.get(bar.partition(" ")[0])
        return f"{bar} ({stage.number} of {stage.of})" if stage is not None and stage.of > 1 else bar

    def _print(self, text: str) -> None:
        self._last = time.monotonic()
        print(text, file=self._screen, flush=True)


class BarView(View):
    """The same lines with the stages' bars below them, which go when the stage is done."""

    def __init__(self, screen: TextIO, bars: Progress) -> None:
        super().__init__(screen)
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def _bar(self, message: dict[str, Any]) -> None:
        name = message["bar"].partition(" ")[0]
        label = self._label(message["bar"])
        said = described(message["done"], message["total"], message["unit"], message["rate"])
        if message["done"] >= message["total"]:
            self._remove(name)
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task("", label=label, said=said)
        self._bars.update(
            self._tasks[name], completed=message["done"], total=message["total"] or None, label=label, said=said
        )

    def _finish(self, name: str) -> None:
        self._remove(name)
        super()._finish(name)

    def summarise(self) -> None:
        super().summarise()
        for name in list(self._tasks):
            self._remove(name)

    def _remove(self, name: str) -> None:
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))

    def _print(self, text: str) -> None:
        style = "red" if text.startswith(("error", "failed")) else "yellow" if text.startswith("warning") else None
        self._bars.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
