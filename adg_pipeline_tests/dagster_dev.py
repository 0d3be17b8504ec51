"""A real `dagster dev` for tests: started on a free port, spoken to through GraphQL, ended with all its children."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

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
        answer = httpx.post(f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=30)
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    def wait_for(self, what: str, look: Callable[[], T | None], seconds: float) -> T:
        """Look until there is something to see."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, f"dagster dev ended: {self.tail()}"
            found = look()
            if found:
                return found
            time.sleep(0.5)
        raise AssertionError(f"waited {seconds:.0f} s for {what}; the log ends with: {self.tail()}")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def runs(self) -> list[dict[str, Any]]:
        query = "{ runsOrError(limit: 200) { ... on Runs { results { runId jobName status tags { key value } } } } }"
        found: list[dict[str, Any]] = self.query(query)["runsOrError"]["results"]
        return found


@contextmanager
def dagster_dev(folder: Path, environment: Mapping[str, str]) -> Iterator[DagsterDev]:
    """Start `dagster dev` in a process group of its own, and end the whole group at the end."""
    home = Path(environment["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    port = _free_port()
    log = folder / "dagster-dev.log"
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-h", "127.0.0.1"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "-p", str(port)],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    dev = DagsterDev(f"http://127.0.0.1:{port}", log, process)
    try:
        dev.wait_for("the UI", lambda: _answers(dev), 120)
        yield dev
    finally:
        # Its code server and daemon can outlive the parent: end the group, first with a word, then without.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)


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
