"""A measured figure, with what it is compared to and the machine it was taken on."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


def machine_facts() -> str:
    """Processor, cores in use and how busy they were; a figure means nothing without them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} cores{load}, Python {platform.python_version()}"


@dataclass(frozen=True)
class Result:
    """One benchmark's outcome. ``ratio`` is how many times faster than the baseline; at least ``goal`` is wanted."""

    name: str
    figure: float
    baseline: float
    unit: str
    ratio: float
    goal: float | None = None
    note: str = ""
    machine: str = field(default_factory=machine_facts)

    @property
    def met(self) -> bool:
        return self.goal is None or self.ratio >= self.goal

    def line(self) -> str:
        goal = f" (goal {self.goal:g}x: {'met' if self.met else 'MISSED'})" if self.goal is not None else ""
        note = f" | {self.note}" if self.note else ""
        return (
            f"{self.name}: {self.figure:,.1f} {self.unit}, baseline {self.baseline:,.1f} {self.unit}, "
            f"{self.ratio:.1f}x{goal}{note} | {self.machine}"
        )


def report(results: Sequence[Result], *, as_json: bool) -> None:
    """Print results, one a line."""
    for result in results:
        text = json.dumps({**asdict(result), "met": result.met}) if as_json else result.line()
        sys.stdout.write(text + "\n")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def best_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Wall-clock seconds of the fastest of some runs: the one least disturbed by what else the machine does."""
    fastest = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - started)
    return fastest
