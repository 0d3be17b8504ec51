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
    """One benchmark's outcome: a rate, and where there is a baseline, how many times faster than that."""

    name: str
    figure: float
    unit: str
    baseline: float | None = None
    goal: float | None = None
    note: str = ""
    machine: str = field(default_factory=machine_facts)

    @property
    def ratio(self) -> float | None:
        return self.figure / self.baseline if self.baseline else None

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the goal; true where there is none."""
        return self.goal is None or (self.ratio or 0.0) >= self.goal

    def line(self) -> str:
        parts = [f"{self.name}: {self.figure:,.0f} {self.unit}"]
        if self.baseline is not None:
            parts.append(f"baseline {self.baseline:,.0f} {self.unit}, {self.ratio:.1f}x")
        if self.goal is not None:
            parts.append(f"goal {self.goal:g}x {'met' if self.met else 'MISSED'}")
        return " | ".join([*parts, self.note, self.machine])


def report(results: Sequence[Result], *, as_json: bool) -> None:
    """Print results, one a line."""
    for result in results:
        text = json.dumps({**asdict(result), "ratio": result.ratio, "met": result.met}) if as_json else result.line()
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
