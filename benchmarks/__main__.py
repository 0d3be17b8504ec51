"""Benchmarks, each in a process of its own: ours, the baseline and the limit of the same run, and the goals.

What comes out goes to ``results/cpu.json``; ``python -m benchmarks.page`` makes docs/speed.md of it. A benchmark that
fails is told, and the others go on.
"""

import json
import subprocess
import sys
import time
from argparse import ArgumentParser

from benchmarks.result import Result
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
    failed = []
    for name in options.benchmarks or BENCHMARKS:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", "--json"], check=False, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            failed.append(name)
            continue
        results = [Result.of(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
        for result in results:
            print(json.dumps(result.record(), ensure_ascii=False) if options.json else result.line(), flush=True)
        if options.keep:
            keep(CPU, name, results)
        print(f"[{name}: {time.perf_counter() - started:.0f} s]", file=sys.stderr, flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
