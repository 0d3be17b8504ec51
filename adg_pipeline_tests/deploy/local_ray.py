"""A Ray cluster of this machine with two pretended GPUs, and Dagster's daemon on it, as children of the test."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

T = TypeVar("T")
DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "ray"
# Runs in their environment: nothing is sent anywhere, and the node's bin is where its Python is.
_OURS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONPATH": str(DEPLOY.parents[1]),
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}


@dataclass(frozen=True)
class Ray:
    """A running cluster. address: that of its job server."""

    address: str
    log: Path

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.address}/api/jobs/", timeout=60).json()
        return found


@contextmanager
def local_ray() -> Iterator[Ray]:
    """Start it, and end all its processes with the block."""
    folder = Path(tempfile.mkdtemp(prefix="adg-ray-", dir="/tmp"))  # sockets' paths have an end
    gcs, dashboard, agent, client = (_free_port() for _ in range(4))
    command = [
        "ray", "start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1", "--num-cpus=3",
        "--num-gpus=2", f"--port={gcs}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}",
        f"--ray-client-server-port={client}", "--object-store-memory=80000000", f"--temp-dir={folder}",
    ]  # fmt: skip
    ray = Ray(f"http://127.0.0.1:{dashboard}", folder / "start.log")
    with ray.log.open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **_OURS}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for("Ray's job server", lambda: _answers(ray), process, ray.log)
        yield ray
    finally:
        end_with_family(process)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def daemon_on(ray: Ray, folder: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Dagster's daemon with deploy/ray's files, on a new instance, whose database is on this machine alone."""
    home = Path(environment["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    parts = (DEPLOY.parents[1] / "dagster.yaml", DEPLOY / "dagster.yaml")
    (home / "dagster.yaml").write_text("\n".join(part.read_text("utf-8") for part in parts), encoding="utf-8")
    known = {**os.environ, **environment, **_OURS, "RAY_API_SERVER_ADDRESS": ray.address}
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(DEPLOY / "workspace.yaml")]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=known, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        end_with_family(process)


def wait_for(what: str, look: Callable[[], T | None], process: "subprocess.Popen[bytes]", log: Path) -> T:
    """Look until there is something to see. Raises AssertionError with the log where the process ends before."""
    print(f"waiting for {what}")  # noqa: T201
    while not (found := look()):
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        time.sleep(0.1)
    return found


def step_of(name: str) -> psutil.Process | None:
    """The process of a step, or of a run's worker where the name is execute_run."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "dagster" not in {Path(word).name for word in words[1:3]}:  # the environment's script, or python -m
                continue
            if name in words or process.environ().get("DAGSTER_RUN_STEP_KEY") == name:
                return process
    return None


def end_with_family(process: "subprocess.Popen[bytes]") -> None:
    """In order, and by force what is left."""
    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=20)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def _answers(ray: Ray) -> bool:
    try:
        return isinstance(ray.jobs(), list)
    except (httpx.HTTPError, json.JSONDecodeError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
