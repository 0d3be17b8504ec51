"""Runs a pipeline while its processes are killed, and starts it again as a user or a service manager would."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import dagster as dg
import psutil

from adg_pipeline_tests.dagster_dev import DagsterDev, dagster_dev
from adg_pipeline_tests.kills.victims import find, kill, kill_with_family, wait_for_moment
from adg_pipeline_tests.resources.generators.faulty_server import FaultyServer
from adg_pipeline_tests.workbench import Workbench, records

# Long enough to be hit in every stage, short enough to be run often.
SETTINGS: dict[str, dict[str, Any]] = {
    "generations": {"max_new_tokens": 32, "batch_size": 4},
    "embeddings": {"embedder": "hidden_state"},  # opens in half the time of the other
    "semantic_bins": {"examples_per_bin": 10},
    "selected_subset": {"budget": 20},
    "finetuned_checkpoint": {
        "max_steps": 24, "batch_size": 2, "gradient_accumulation": 1, "threads": 1, "save_steps": 4,
    },
    "sensors": {"interval_seconds": 2, "settle_seconds": 1, "max_shards_per_run": 2},
}  # fmt: skip
SHARDS, ROWS = 4, 12
ENDPOINT_IN_FLIGHT = 8


class Wait(Protocol):
    """Waits for the moment of a kill and tells it in words; ends early where nothing is alive any more."""

    def __call__(self, rng: random.Random, *, alive: Callable[[], bool]) -> str: ...


@dataclass(frozen=True)
class Kill:
    """One kill. recovered_seconds: until the next step of the pipeline began; None if none was needed."""

    part: str
    stage: str
    moment: str
    at: float
    recovered_seconds: float | None = None

    def __str__(self) -> str:
        after = "nothing was left to do" if self.recovered_seconds is None else f"{self.recovered_seconds:.1f} s"
        return f"{self.part} in {self.stage}, {self.moment}: {after}"


def prepare(bench: Workbench, shards: int = SHARDS, rows: int = ROWS) -> None:
    """Settings and a pool, the same for every campaign."""
    bench.settings.clear()
    bench.settings.update({section: dict(values) for section, values in SETTINGS.items()})
    bench.write_settings()
    pool = records(shards * rows)
    for number in range(shards):
        bench.add(f"part-{number}", pool[number * rows : (number + 1) * rows])


def prepare_endpoint(bench: Workbench, url: str) -> None:
    """The same pool with answers from a server on `url`."""
    prepare(bench)
    bench.settings["sensors"]["max_shards_per_run"] = SHARDS
    endpoint = {"url": url, "model": "tiny", "concurrency": ENDPOINT_IN_FLIGHT}
    bench.settings["generations"].update(engine="endpoint", backbone="embedded", batch_size=64, endpoint=endpoint)
    bench.write_settings()


def paid_twice(asked: Counter[tuple[str, int]]) -> int:
    """Requests beyond the first of each (prompt, seed)."""
    return sum(asked.values()) - len(asked)


def wait_for_requests(server: FaultyServer) -> Wait:
    """A moment at which some more requests have reached the server and are being answered."""

    def wait(rng: random.Random, *, alive: Callable[[], bool]) -> str:
        more = rng.randint(1, 60)
        until = len(server.bodies) + more
        while alive() and len(server.bodies) < until:
            time.sleep(0.005)
        return f"at request {until}"

    return wait


def run_under_kills(
    bench: Workbench, seed: int, kills: int, arguments: Sequence[str], wait: Wait | None = None
) -> list[Kill]:
    """`adg run`, killed up to `kills` times and called again each time until it ends well.

    wait: waits for the moment of a kill; by default a random one of the whole run. Ends with fewer kills where the
    pipeline was done before the last of them.
    """
    rng = random.Random(seed)
    wait = wait or partial(wait_for_moment, data=bench.data, longest=8.0)
    done: list[Kill] = []
    for _ in range(kills + 10):
        parts = ["worker", "all", "worker", "all", "training"]
        mode = rng.choice(["--multiprocess", "--in-process"])
        if mode == "--multiprocess":
            parts += ["step", "step", "step"]
        process = _start(bench, "run", mode, *arguments)
        root = psutil.Process(process.pid)
        while len(done) < kills and process.poll() is None:
            part = rng.choice(parts)
            moment = wait(rng, alive=partial(_runs, process))
            victim = None if part in ("worker", "all") else find(root, part)
            if process.poll() is not None:
                break
            if victim is not None:
                kill(victim)
            else:
                part = "all" if part == "all" else "worker"
                (kill_with_family if part == "all" else kill)(root)
            done.append(Kill(part, stage(bench), moment, time.time()))
            if victim is None:
                process.wait()
        if process.wait() == 0:
            return [_with_recovery(bench, entry) for entry in done]
    raise AssertionError(f"`adg run` did not end well after {len(done)} kills: see {bench.folder / 'adg.log'}")


def watch_under_kills(bench: Workbench, seed: int, kills: int, seconds: float) -> list[Kill]:
    """`dagster dev` with its sensors on, killed part by part and started again when it ends, until all is up to date."""
    rng = random.Random(seed)
    done: list[Kill] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(AssertionError), dagster_dev(bench.folder, bench.environment()) as dev:
            _kill_parts(bench, rng, kills, done, dev)
            while dev.process.poll() is None and time.monotonic() < until:
                if len(done) >= kills and _is_up_to_date(bench) and not _in_flight(dev):
                    return [_with_recovery(bench, entry) for entry in done]
                if len(done) < kills and not _is_up_to_date(bench):
                    _kill_parts(bench, rng, kills, done, dev)
                elif len(done) < kills:
                    return [_with_recovery(bench, entry) for entry in done]
                time.sleep(1)
    raise AssertionError(f"not up to date {seconds:.0f} s after the start, with {len(done)} kills")


def run_command(bench: Workbench, *arguments: str) -> None:
    """`adg run`, undisturbed."""
    process = _start(bench, "run", *arguments)
    assert process.wait() == 0, f"`adg run` failed: see {bench.folder / 'adg.log'}"


def stage(bench: Workbench) -> str:
    """Steps that had begun and not ended in the newest run."""
    with bench.instance() as instance:
        runs = instance.get_runs(limit=1)
        if not runs:
            return "the start"
        begun: dict[str, None] = {}
        for entry in instance.all_logs(runs[0].run_id):
            event = entry.dagster_event
            if event is None or event.step_key is None:
                continue
            if event.event_type == dg.DagsterEventType.STEP_START:
                begun[event.step_key] = None
            elif event.is_step_success or event.is_step_failure:
                begun.pop(event.step_key, None)
    return " and ".join(begun) or f"the run of {runs[0].job_name}, between steps"


def _start(bench: Workbench, *arguments: str) -> subprocess.Popen[bytes]:
    with (bench.folder / "adg.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "adg_pipeline.cli", *arguments],
            env={**os.environ, **bench.environment()},
            start_new_session=True,
            stdout=log,
            stderr=log,
        )


def _runs(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _kill_parts(bench: Workbench, rng: random.Random, kills: int, done: list[Kill], dev: DagsterDev) -> None:
    root = psutil.Process(dev.process.pid)
    while len(done) < kills and dev.process.poll() is None and not _is_up_to_date(bench):
        part = rng.choice(["worker", "worker", "step", "step", "daemon", "server", "all"])
        moment = wait_for_moment(rng, alive=partial(_runs, dev.process), data=bench.data, longest=12.0)
        victim = root if part == "all" else find(root, part)
        if victim is None or dev.process.poll() is not None:
            continue
        at_work = stage(bench)
        (kill_with_family if part == "all" else kill)(victim)
        done.append(Kill(part, at_work, moment, time.time()))
        if part in ("all", "daemon"):
            # The parent ends when its daemon has: a service manager would start it again.
            with suppress(subprocess.TimeoutExpired):
                dev.process.wait(20)


def _is_up_to_date(bench: Workbench) -> bool:
    manifest = bench.store.selection_manifest("adg")
    return manifest is not None and set(manifest["shards"]) == {path.stem for path in bench.pool.glob("*.jsonl")}


def _in_flight(dev: DagsterDev) -> bool:
    return any(run["status"] not in ("SUCCESS", "FAILURE", "CANCELED") for run in dev.runs())


def _with_recovery(bench: Workbench, entry: Kill) -> Kill:
    with bench.instance() as instance:
        starts = [
            log.timestamp
            for run in instance.get_runs()
            for log in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
        ]
    later = [moment - entry.at for moment in starts if moment > entry.at]
    return Kill(entry.part, entry.stage, entry.moment, entry.at, min(later) if later else None)
