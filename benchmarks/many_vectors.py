"""What one shard's vectors cost beside tables of more and more rows.

    python -m benchmarks.many_vectors [--rows 10000 5000000] [--json]

Of each size: writing a new shard of 5,000 narrow vectors and reading one (means of a whole round from one compaction to the
next, which is included), writing one again, removing one. Processor time says more: that of the clock depends on what else
goes on.
"""

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe, make_provenance
from adg_pipeline.store.vectors import compact_every, vector_batch

TABLE, DIMENSION, EXAMPLES, SAMPLES = "answer_embeddings", 8, 1_000, 5


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor and clock of one shard, beside so many rows."""

    name: str
    rows: int
    cpu_ms: float
    ms: float

    def line(self) -> str:
        return f"{self.name} beside {self.rows:,} rows: {self.cpu_ms:.1f} ms of processor, {self.ms:.1f} ms"


def batch(shard: str) -> pa.RecordBatch:
    vectors = np.random.default_rng(0).standard_normal((EXAMPLES, SAMPLES, DIMENSION)).astype(np.float32)
    return vector_batch(shard, [f"example-{number}" for number in range(EXAMPLES)], vectors)


def write(store: Store, shard: str, batches: Iterator[pa.RecordBatch]) -> None:
    made = make_provenance(Recipe(TABLE, "1", {}), shard, {}, EXAMPLES * SAMPLES)
    store.vectors.write(TABLE, shard, DIMENSION, batches, lambda: made)


def measure(rows: int) -> Iterator[Cost]:
    with TemporaryDirectory() as folder:
        store = Store(data_dir=folder)
        shards = rows // (EXAMPLES * SAMPLES)
        write(store, "part-0", (batch(f"part-{number}") for number in range(shards)))  # all in one commit
        store.vectors.compact(TABLE)

        def read(number: int) -> None:
            found = sum(len(ids) for ids, _, _ in store.vectors.read(TABLE, f"new-{number}"))
            assert found == EXAMPLES * SAMPLES

        def add(number: int) -> None:
            write(store, f"new-{number}", iter([batch(f"new-{number}")]))

        round_of = range(compact_every(rows))
        added, readings = zip(*((_timed(add, i), _timed(read, i // 2)) for i in round_of), strict=True)
        yield Cost("a new shard", rows, *_each(mean, added))
        yield Cost("a shard read", rows, *_each(mean, readings))
        yield Cost("a shard again", rows, *_each(median, [_timed(add, i) for i in range(5)]))
        gone = [_timed(lambda i: store.vectors.remove(TABLE, f"new-{i}"), i) for i in range(10)]
        yield Cost("a shard removed", rows, *_each(median, gone))


Timing = tuple[float, float]  # milliseconds of processor and clock


def _timed(work: Callable[[int], None], number: int) -> Timing:
    started, spent = time.perf_counter(), time.process_time()
    work(number)
    return 1000 * (time.process_time() - spent), 1000 * (time.perf_counter() - started)


def _each(of: Callable[[Sequence[float]], float], timings: Sequence[Timing]) -> Timing:
    return of([cpu for cpu, _ in timings]), of([clock for _, clock in timings])


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 5_000_000], help="rows of the table")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for rows in options.rows:
        for cost in measure(rows):
            sys.stdout.write((json.dumps(asdict(cost)) if options.json else cost.line()) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
