"""What a look, a tick and one more shard cost beside thousands of shards.

    python -m benchmarks.many_shards --shards 10000 [--store DIR] [--json]

Builds a pool of tiny shards and all that is stored of it, through the product's own writers and without a model, then takes
the time of `adg status`, of each sensor's look (nothing changed; 100 new files) and of one more shard, beside ten and beside
all. --store keeps what was built, and goes on from there. Processor seconds stand beside those of the clock: they hardly
depend on what else the machine does.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from adg_pipeline.host.children import environment
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.orchestration.instance import open_instance
from adg_pipeline.orchestration.partitions import pool_shards, register
from adg_pipeline.orchestration.runner import Runner, RunReport
from adg_pipeline.orchestration.sensors.growth import build_pool_growth_sensor
from adg_pipeline.orchestration.sensors.reselection import build_reselection_sensor
from adg_pipeline.store import Store
from benchmarks.many_shards_store import ShardWriter, pool_file
from benchmarks.result import machine_facts

FEW, NEW = 10, 100
SETTINGS: dict[str, dict[str, Any]] = {
    "embeddings": {"embedder": "hidden_state"},
    "semantic_bins": {"bins": 20, "examples_per_bin": 10},
    "selected_subset": {"budget": 20},
}


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of the processors; the goal is for the clock of a quiet machine."""

    name: str
    shards: int
    seconds: float
    cpu_seconds: float
    goal: float | None = None
    note: str = ""
    machine: str = field(default_factory=machine_facts)

    def line(self) -> str:
        goal = "" if self.goal is None else f" | goal {self.goal:g} s"
        note = f" | {self.note}" if self.note else ""
        took = f"{self.seconds:.2f} s, {self.cpu_seconds:.2f} s of processors"
        return f"{self.name}, {self.shards:,} shards: {took}{goal}{note}"


class Pool:
    """A pipeline in a folder of its own: its pool, its store and its instance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(data_dir=str(folder / "data"))
        self.store.pool_dir.mkdir(parents=True, exist_ok=True)
        (folder / "adg.yaml").write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")

    @contextmanager
    def open(self) -> Iterator[dg.DagsterInstance]:
        variables = {
            "ADG_DATA_DIR": self.store.data_dir,
            "ADG_CONFIG": str(self.folder / "adg.yaml"),
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "HF_HUB_OFFLINE": "1",
        }
        with environment(variables), open_instance() as instance:
            yield instance

    def build(self, shards: int, say: Callable[[str], None]) -> None:
        """Write what isn't there yet of so many shards, and select a subset of them."""
        with self.open() as instance:
            writer = ShardWriter(self.store, settings_in_force(self.store).settings)
            there = set(self.store.shards("divergence_scores"))
            started = time.monotonic()
            for number in range(shards):
                key = f"part-{number:06}"
                if key not in there:
                    writer.write(pool_file(self.store, number))
                if (number + 1) % 500 == 0:
                    say(f"{number + 1:,} of {shards:,} shards, {time.monotonic() - started:.0f} s")
            register(instance, pool_shards, self.store.shards("raw_pool"))
            report = RunReport()
            self.runner(instance).select(report)
            if report.failed:
                raise SystemExit(f"no subset: {report.failed}")

    def runner(self, instance: dg.DagsterInstance) -> Runner:
        return Runner(self.store, settings_in_force(self.store, "adg"), instance, lambda text: None, in_process=True)


def measure(pool: Pool, shards: int) -> Iterator[Cost]:
    """The costs beside so many shards."""
    with pool.open() as instance:
        yield Cost("adg status", shards, *_of_process("status"), goal=2.0)
        growth, reselection = build_pool_growth_sensor(10), build_reselection_sensor(10)
        cursor = ""
        for _ in range(3):  # the first look meets empty memories, as after a restart of the code server
            tick, seconds, cpu = _timed(partial(_tick, growth, instance, pool.store, cursor))
            cursor = tick.cursor or ""
        yield Cost("growth tick, nothing changed", shards, seconds, cpu, goal=1.0, note=_told(tick, cursor))
        for _ in range(2):
            other, seconds, cpu = _timed(lambda: _tick(reselection, instance, pool.store, ""))
        yield Cost("reselection tick, nothing changed", shards, seconds, cpu, goal=1.0, note=_told(other, ""))
        new = [pool_file(pool.store, shards + 1_000 + number) for number in range(NEW)]
        for path in new:
            os.utime(path, (time.time() - 60,) * 2)
        tick, seconds, cpu = _timed(lambda: _tick(growth, instance, pool.store, cursor))
        yield Cost(f"growth tick, {NEW} new files seen", shards, seconds, cpu, goal=2.0, note=_told(tick, tick.cursor))
        tick, seconds, cpu = _timed(lambda: _tick(growth, instance, pool.store, tick.cursor or ""))
        yield Cost(
            f"growth tick, {NEW} new files asked for", shards, seconds, cpu, goal=2.0, note=_told(tick, tick.cursor)
        )
        _, seconds, cpu = _timed(lambda: _tick(reselection, instance, pool.store, ""))
        yield Cost(f"reselection tick, {NEW} new files", shards, seconds, cpu, goal=2.0)
        for path in new:
            path.unlink()
        yield one_more(pool, instance, shards)


def one_more(pool: Pool, instance: dg.DagsterInstance, shards: int) -> Cost:
    """One shard more, through the jobs of Dagster: with the embedded backbone, but without the subset."""
    path = pool_file(pool.store, 900_000)
    runner = pool.runner(instance)
    runner.register([path.stem])
    done, seconds, cpu = _timed(lambda: runner.compute([path.stem]))
    if not done:
        raise SystemExit("the shard failed")
    path.unlink()
    pool.store.remove_shard(path.stem)
    instance.delete_dynamic_partition(pool_shards.name or "", path.stem)
    return Cost("one shard more", shards, seconds, cpu)


def _tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, store: Store, cursor: str) -> Any:
    context = dg.build_sensor_context(instance=instance, cursor=cursor or None, resources={"store": store})
    return sensor(context)


def _told(tick: Any, cursor: str | None) -> str:
    said = (
        getattr(tick, "skip_message", None) or getattr(getattr(tick, "skip_reason", None), "skip_message", None) or ""
    )
    runs = len(getattr(tick, "run_requests", None) or [])
    return f"{runs} runs asked for, cursor {len(cursor or ''):,} bytes; {said[:80]}"


def _timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    started, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - started, time.process_time() - cpu


def _of_process(*arguments: str) -> tuple[float, float]:
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "adg_pipeline.cli", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1_000, help="how many shards the pool has")
    parser.add_argument("--store", type=Path, help="folder to build in and to keep; a temporary one by default")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        for shards in dict.fromkeys((FEW, options.shards)):
            pool = Pool((options.store or Path(temporary)) / str(shards))
            pool.build(shards, say)
            for cost in measure(pool, shards):
                sys.stdout.write((json.dumps(asdict(cost)) if options.json else cost.line()) + "\n")
                sys.stdout.flush()
    if not options.json:
        sys.stdout.write(machine_facts() + "\n")


if __name__ == "__main__":
    main()
