"""Writing a shard's vectors and reading them back, against plain LanceDB calls on the same rows.

The shard is one among others in its table, as in a pool that grew.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe, make_provenance
from adg_pipeline.store.vectors import vector_batch, vector_schema
from benchmarks.result import Result, arguments, report

TABLE, DIMENSION, SAMPLES, EXAMPLES, OTHERS, BATCH, REPEATS = "answer_embeddings", 384, 5, 10_000, 5, 500, 3


def run() -> list[Result]:
    vectors = np.random.default_rng(0).standard_normal((EXAMPLES, SAMPLES, DIMENSION), dtype=np.float32)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(data_dir=f"{folder}/ours")
        database = lancedb.connect(f"{folder}/plain")
        plain: Any = database.create_table(TABLE, schema=vector_schema(DIMENSION))
        for number in range(OTHERS):
            _write(store, f"other-{number}", vectors)
            plain.add(_reader(f"other-{number}", vectors))
        for repeat in range(REPEATS):  # in turn, so that whatever else runs meets both alike
            shard = f"shard-{repeat}"
            works: dict[str, Callable[[], object]] = {
                "our write": lambda shard=shard: _write(store, shard, vectors),
                "their write": lambda shard=shard: plain.add(_reader(shard, vectors)),
                "our read": lambda shard=shard: sum(len(batch[2]) for batch in store.vectors.read(TABLE, shard)),
                "their read": lambda shard=shard: _read(plain, shard),
            }
            for name, work in works.items():
                started = time.perf_counter()
                work()
                seconds[name] = min(seconds.get(name, float("inf")), time.perf_counter() - started)
    rows = EXAMPLES * SAMPLES
    note = f"{rows:,} rows of {DIMENSION} beside {OTHERS} other shards, against plain LanceDB"
    return [
        Result(
            f"a shard's vectors, {way}", rows / seconds[f"our {way}"], "rows/s", rows / seconds[f"their {way}"],
            goal=0.8, note=note,
        )
        for way in ("write", "read")
    ]  # fmt: skip


def _write(store: Store, shard: str, vectors: np.ndarray) -> None:
    recipe = Recipe(TABLE, "1", {})
    store.vectors.write(
        TABLE,
        shard,
        DIMENSION,
        _batches(shard, vectors),
        lambda: make_provenance(recipe, shard, {}, vectors[:, :, 0].size),
    )


def _batches(shard: str, vectors: np.ndarray) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        yield vector_batch(shard, [f"example-{row:06d}" for row in range(start, start + len(part))], part)


def _reader(shard: str, vectors: np.ndarray) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(vector_schema(DIMENSION), _batches(shard, vectors))


def _read(table: Any, shard: str) -> int:
    query = table.search().where(f"shard = '{shard}'").select(["example_id", "sample_index", "vector"])
    return sum(batch.num_rows for batch in query.to_batches())


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    report(run(), as_json=options.json)
