"""select and rank_table on 10 million rows, a third of them tied at score 0, in 1,000 bins."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selection import rank_table, select
from benchmarks.result import Result, arguments, best_seconds, peak_megabytes, report

ROWS, BINS, BUDGETS = 10_000_000, 1000, (10_000, 1_000_000)


def run() -> list[Result]:
    generator = np.random.default_rng(0)
    numbers = pl.Series("example_id", generator.permutation(ROWS))
    ids = pl.select("ex-" + numbers.cast(pl.String).str.zfill(16)).to_series()
    scores = np.where(generator.random(ROWS) < 1 / 3, 0.0, generator.random(ROWS).round(6))
    bins = generator.integers(0, BINS, ROWS).astype(np.int32)
    note = f"{ROWS:,} rows, {BINS} bins"
    results = []
    for budget in BUDGETS:
        for name, work in (("select", select), ("rank_table", rank_table)):
            seconds = best_seconds(lambda: work(ids, scores, bins, budget), 1)  # noqa: B023
            results.append(Result(f"{name}, budget {budget:,}", seconds, "s", at_most=12.0, note=note))
    memory = Result(
        "select and rank_table, memory", peak_megabytes(), "MB", at_most=2000.0, note=f"{note}, input included"
    )
    return [*results, memory]


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    report(run(), as_json=options.json)
