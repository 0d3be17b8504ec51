"""Make docs/speed.md's tables of the results at hand: `python -m benchmarks.page`."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.result import Result, shown
from benchmarks.results import CPU, GPU, read

PAGE = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
HEAD = "| what | ours | baseline | ratio | limit | share | goal | reached |\n|---|---|---|---|---|---|---|---|\n"
# Goals of what no machine at hand could run yet.
UNMEASURED = (
    ("seeded against unseeded sampling, vLLM's v1 and v2 runners", "≥ 0.97x"),
    ("generations asset over bare `LLM.generate`; GPU busy", "≥ 0.97x; ≥ 95%"),
    (
        "generation, reference losses, embedding, scores and selection together",
        "≥ 15 examples/s; ≥ 10x the released way",
    ),
)


def tables() -> dict[str, str]:
    """Each table of the page by the name that it stands under."""
    return {
        "cpu": "\n".join(_parts(read(CPU))),
        "gpu": "\n".join([*_parts(read(GPU)), "Not measured:\n", _unmeasured()]),
    }


def _parts(kept: dict[str, Any]) -> Iterator[str]:
    rows = [(found["date"], Result.of(record)) for found in kept.values() for record in found["results"]]
    yield HEAD + "\n".join(_row(result) for _, result in rows) + "\n"
    yield from (f"- {result.name}: {result.note}." for _, result in rows if result.note)
    machines = sorted({f"{date}, {re.sub(', load [0-9.]+', '', result.machine)}" for date, result in rows})
    loads = [float(load) for _, result in rows for load in re.findall(r"load ([0-9.]+)", result.machine)]
    versions = {f"{name} {number}" for found in kept.values() for name, number in found["versions"].items()}
    yield f"\nTaken on: {'; '.join(machines)}; load {min(loads):g} to {max(loads):g}. {', '.join(sorted(versions))}.\n"


def _row(result: Result) -> str:
    def cell(value: float | None, unit: str = "") -> str:
        return "" if value is None else f"{shown(value)}{unit}"

    reached = "" if not result.goals else "yes" if result.met else "no"
    share = "" if result.share is None else f"{result.share:.0%}"
    cells = [
        result.name, f"{shown(result.figure)} {result.unit}", cell(result.baseline), cell(result.ratio, "x"),
        cell(result.limit), share, "; ".join(result.goals), reached,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _unmeasured() -> str:
    rows: Iterable[str] = (f"| {what} | {goal} |" for what, goal in UNMEASURED)
    return "| what | goal |\n|---|---|\n" + "\n".join(rows) + "\n"


def filled(page: str) -> str:
    """The page with its tables between their marks."""
    for name, table in tables().items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, count = mark.subn(lambda found, table=table: f"{found[1]}{table}{found[2]}", page)
        if count != 1:
            raise SystemExit(f"{PAGE}: the marks of {name} stand there {count} times, not once")
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
