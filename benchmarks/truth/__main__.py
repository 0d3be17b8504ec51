"""`make truth`: run the sweep, or what is left of it, and write its table and its plots."""

import argparse
import sys
from pathlib import Path

from benchmarks.truth import page, plots, sweep, tables
from benchmarks.truth.plan import PARTS, plan

RESULTS = Path(__file__).resolve().parents[1] / "results" / "truth.parquet"
WORK = Path(__file__).resolve().parents[2] / "build" / "truth"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="worlds (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first of them (default: %(default)s)")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="parts of the plan (default: all)"
    )
    parser.add_argument("--processes", type=int, default=2, help="one core each (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, default=WORK, help="where worlds and cells are kept (default: build/truth)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="table of results (default: %(default)s)")
    parser.add_argument("--report", action="store_true", help="run nothing: report the table of results as it is")
    options = parser.parse_args()
    if not options.report:
        planned = plan(options.parts, range(options.first_seed, options.first_seed + options.seeds))
        sweep.run(planned, options.work, _say, options.processes)
        known = tables.read(options.results) if options.results.exists() else None
        tables.write(tables.with_new(known, sweep.collect(planned, options.work)), options.results)
    results = tables.read(options.results)
    page.write(results)
    plots.draw(results)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
