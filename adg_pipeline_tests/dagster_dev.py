"""A real `adg dev` for tests: started on a free port, spoken to through GraphQL, ended with all its children."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

PROJECT = Path(__file__).resolve().parents[1]
T = TypeVar("T")


@dataclass(frozen=True)
class DagsterDev:
    """A running UI and daemon."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def query(self, text: str, **variables: Any) -> Any:
        """The data of a GraphQL answer. Raises AssertionError with the server's words on an error."""
        answer = httpx.post(f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=None)
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    def wait_for(self, what: str, look: Callable[[], T | None]) -> T:
        """Look until there is something to see, however long a busy machine takes; a test that hangs is ended by pytest."""
        print(f"waiting for {what}")  # noqa: T201
        while not (found := look()):
            assert self.process.poll() is None, f"`adg dev` ended: {self.tail()}"
            time.sleep(0.5)
        return found

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def runs(self) -> list[dict[str, Any]]:
        query = "{ runsOrError(limit: 200) { ... on Runs { results { runId jobName status tags { key value } } } } }"
        found: list[dict[str, Any]] = self.query(query)["runsOrError"]["results"]
        return found

    def wait_for_looks(self, sensors: Collection[str], count: int) -> None:
        """Wait until each of the sensors has looked so many times more, from now on."""
        before = {sensor: self._looks(sensor) for sensor in sensors}
        self.wait_for(
            f"{count} looks of each sensor", lambda: all(self._looks(name) >= before[name] + count for name in sensors)
        )

    def _looks(self, sensor: str) -> int:
        """How often a sensor has looked and come to an end with it."""
        selector = (
            f'{{repositoryName: "__repository__", repositoryLocationName: "adg_pipeline", sensorName: "{sensor}"}}'
        )
        ticks = "... on Sensor { sensorState { ticks(limit: 1000) { status } } }"
        found = self.query(f"{{ sensorOrError(sensorSelector: {selector}) {{ {ticks} }} }}")
        return sum(tick["status"] != "STARTED" for tick in found["sensorOrError"]["sensorState"]["ticks"])


@contextmanager
def dagster_dev(folder: Path, environment: Mapping[str, str]) -> Iterator[DagsterDev]:
    """Start `adg dev` as a script would, in the background of a shell that isn't interactive, and stop it with SIGTERM.

    Raises AssertionError where a process of it outlives that, or its port stays taken.
    """
    port = _free_port()
    log = folder / "dagster-dev.log"
    command = [sys.executable, "-m", "adg_pipeline.cli", "dev", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["sh", "-c", '"$@" & echo $! >service.pid; wait $!', "sh", *command],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    dev = DagsterDev(f"http://127.0.0.1:{port}", log, process)
    family: list[psutil.Process] = []
    try:
        dev.wait_for("the UI", lambda: _answers(dev))
        yield dev
        if process.poll() is not None:
            return  # somebody killed it
        family = psutil.Process(process.pid).children(recursive=True)
        os.kill(int((folder / "service.pid").read_text()), signal.SIGTERM)
        assert process.wait() == 0, dev.tail()
        outlived = [entry for entry in family if entry.is_running() and entry.status() != psutil.STATUS_ZOMBIE]
        assert not outlived, f"{outlived} outlived `adg dev`"
        with socket.socket() as probe:
            # A port is free though a browser's last connection still lingers on it; it isn't while somebody listens.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    finally:
        print(dev.tail())  # noqa: T201
        # Only where a test failed, or killed what would have done it.
        for entry in [*family, *_family(process)]:
            with suppress(psutil.NoSuchProcess):
                entry.kill()
        process.wait()


def _family(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    try:
        root = psutil.Process(process.pid)
        return [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return []


def _answers(dev: DagsterDev) -> bool:
    query = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
    try:
        entries = dev.query(query)["workspaceOrError"]["locationEntries"]
    except (httpx.HTTPError, ValueError):
        return False
    return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
