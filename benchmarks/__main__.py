"""Benchmarks, each in a process of its own: ours, the baseline and the limit of the same run, and the goals.

What comes out goes to ``results/cpu.json``; ``python -m benchmarks.page`` makes docs/speed.md of it. A benchmark that
fails is told, and the others go on.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser

from benchmarks.result import Result, report, run_each
from benchmarks.results import CPU, keep

BENCHMARKS = (
    "startup", "reading", "divergence", "bins", "selection", "vectors", "embedding", "generations", "references", "graph",
)  # fmt: skip


def main() -> int:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "benchmarks", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all if none is named"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--keep", action="store_true", help=f"write what comes out to {CPU}")
    options = parser.parse_args()
    if unknown := set(options.benchmarks) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")

    def run(name: str) -> bool:
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            return False
        results = [Result.of(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
        report(results, as_json=options.json)
        if options.keep:
            keep(CPU, name, results)
        return True

    return run_each(options.benchmarks or BENCHMARKS, run)


if __name__ == "__main__":
    sys.exit(main())
