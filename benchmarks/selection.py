"""select and rank_table on 10 million rows, a third of them tied at score 0, in 1,000 bins."""

import resource
import sys

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selection import rank_table, select
from benchmarks.result import Result, arguments, best_seconds, report

ROWS, BINS, BUDGET = 10_000_000, 1000, 10_000


def peak_gb() -> float:
    """Most memory that this process has held; kibibytes on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e9 / 1024)


def run() -> list[Result]:
    generator = np.random.default_rng(0)
    numbers = pl.Series("example_id", generator.permutation(ROWS))
    ids = pl.select("ex-" + numbers.cast(pl.String).str.zfill(16)).to_series()
    scores = np.where(generator.random(ROWS) < 1 / 3, 0.0, generator.random(ROWS).round(6))
    bins = generator.integers(0, BINS, ROWS).astype(np.int32)
    seconds = {
        "select": best_seconds(lambda: select(ids, scores, bins, BUDGET), 1),
        "rank_table": best_seconds(lambda: rank_table(ids, scores, bins, BUDGET), 1),
    }
    note = f"{ROWS:,} rows, {BINS} bins, peak memory {peak_gb():.1f} GB with the input"
    return [Result(name, ROWS / taken, "rows/s", note=f"{taken:.1f} s for {note}") for name, taken in seconds.items()]


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    report(run(), as_json=options.json)
