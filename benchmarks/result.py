"""A measured figure, with what it is compared to and the machine it was taken on."""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


def machine_facts() -> str:
    """Processor, cores in use and how busy they were; a figure means nothing without them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} cores{load}, Python {platform.python_version()}"


@dataclass(frozen=True)
class Result:
    """One benchmark's outcome: a figure, and what it was measured against in the same run.

    figure: a rate, the more the better; where there is `at_most`, seconds or bytes, the less the better.
    baseline: the same of what it is compared to. goal: ratio to the baseline at least.
    limit: the same of what nothing can beat. share_goal: share of the limit at least.
    at_least, at_most: the figure's bounds.
    """

    name: str
    figure: float
    unit: str
    baseline: float | None = None
    goal: float | None = None
    limit: float | None = None
    share_goal: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""
    machine: str = field(default_factory=machine_facts)

    @property
    def ratio(self) -> float | None:
        return self.figure / self.baseline if self.baseline else None

    @property
    def share(self) -> float | None:
        return self.figure / self.limit if self.limit else None

    @property
    def goals(self) -> Sequence[str]:
        """The goals in words."""
        return [
            *([f"≥ {self.goal:g}x"] if self.goal is not None else []),
            *([f"≥ {self.share_goal:.0%} of the limit"] if self.share_goal is not None else []),
            *([f"≥ {self.at_least:g} {self.unit}"] if self.at_least is not None else []),
            *([f"≤ {self.at_most:g} {self.unit}"] if self.at_most is not None else []),
        ]

    @property
    def met(self) -> bool:
        """Whether every goal is reached; true where there is none."""
        return (
            (self.goal is None or (self.ratio or 0.0) >= self.goal)
            and (self.share_goal is None or (self.share or 0.0) >= self.share_goal)
            and (self.at_least is None or self.figure >= self.at_least)
            and (self.at_most is None or self.figure <= self.at_most)
        )

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "share": self.share, "met": self.met}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Result":
        return cls(**{name: value for name, value in record.items() if name not in ("ratio", "share", "met")})

    def line(self) -> str:
        parts = [f"{self.name}: {shown(self.figure)} {self.unit}"]
        if self.baseline is not None:
            parts.append(f"baseline {shown(self.baseline)}, {self.ratio:.2f}x")
        if self.limit is not None:
            parts.append(f"limit {shown(self.limit)}, {self.share:.0%} of it")
        if self.goals:
            parts.append(f"goal {' and '.join(self.goals)} {'met' if self.met else 'MISSED'}")
        return " | ".join([*parts, self.note, self.machine])


def shown(figure: float) -> str:
    """Three digits of a small figure, all whole ones of a large one."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def report(results: Sequence[Result], *, as_json: bool) -> None:
    """Print results, one a line."""
    for result in results:
        text = json.dumps(result.record(), ensure_ascii=False) if as_json else result.line()
        print(text, flush=True)


def run_each(names: Iterable[str], run: Callable[[str], bool]) -> int:
    """Run each, tell what it took, and at the end which failed: the exit status."""
    failed = []
    for name in names:
        started = time.perf_counter()
        if not run(name):
            failed.append(name)
        print(f"[{name}: {time.perf_counter() - started:.0f} s]", file=sys.stderr, flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def peak_megabytes() -> float:
    """Most memory that this process has held; the kernel counts kibibytes on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def best_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Wall-clock seconds of the fastest of some runs: the one least disturbed by what else the machine does."""
    fastest = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - started)
    return fastest
