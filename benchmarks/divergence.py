"""answer_divergence: streamed from LanceDB as the scores' asset does it, and in memory against one row at a time.

The limit is one pass over the vectors: a sum of all numbers, by as many threads.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.assets.scores import answer_groups
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe, make_provenance
from adg_pipeline.store.vectors import vector_batch
from benchmarks.result import Result, arguments, best_seconds, peak_megabytes, report

SHAPES = ((100_000, 5, 384), (8_000, 7, 4096))  # in memory
STREAMED = (250_000, 1_000_000)  # rows of 5 x 384: memory may not grow with them
BASELINE_SHARE = 10  # its time grows in proportion to the rows
REPEATS = 5
BATCH = 1000


def row_by_row(answers: NDArray[np.float32]) -> None:
    """Dispersion and anisotropy as the formula reads: normalise, centre, Gram matrix, eigenvalues."""
    for row in answers:
        vectors = row.astype(np.float64)
        vectors = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)
        centred = vectors - vectors.mean(axis=0)
        eigenvalues = np.linalg.eigvalsh(centred @ centred.T)
        total = eigenvalues.sum()
        _ = total / len(eigenvalues), 1.0 - eigenvalues[-1] / total


def run(streamed: tuple[int, ...] = STREAMED) -> list[Result]:
    results = [_streamed(rows) for rows in streamed]  # first: memory is told by its highest mark
    return [*results, *(_in_memory(*shape) for shape in SHAPES)]


def _in_memory(rows: int, samples: int, dimension: int) -> Result:
    answers = np.random.default_rng(0).standard_normal((rows, samples, dimension), dtype=np.float32)
    fast = slow = once = float("inf")
    baseline_rows = rows // BASELINE_SHARE
    for _ in range(REPEATS):  # in turn, so that whatever else runs meets all alike
        slow = min(slow, best_seconds(lambda: row_by_row(answers[:baseline_rows]), 1) * BASELINE_SHARE)
        fast = min(fast, best_seconds(lambda: answer_divergence(answers), 1))
        once = min(once, best_seconds(lambda: _one_pass(answers), 1))
    return Result(
        name=f"answer_divergence, {samples} x {dimension}", figure=rows / fast, unit="rows/s",
        baseline=rows / slow, goal=25.0, limit=rows / once, share_goal=0.5,
        note=f"{rows:,} rows of float32 in {fast:.2f} s, against numpy row by row",
    )  # fmt: skip


def _one_pass(answers: NDArray[np.float32]) -> None:
    flat = answers.reshape(-1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(np.sum, np.array_split(flat, 64)))


def _streamed(rows: int, samples: int = 5, dimension: int = 384) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        writing = multiprocessing.get_context("spawn").Process(target=_write, args=(folder, rows, samples, dimension))
        writing.start()  # in a process of its own: what it needs isn't counted
        writing.join()
        store = Store(data_dir=folder)
        started, seen, spread = time.perf_counter(), 0, 0.0
        for ids, vectors in answer_groups(store, "bench"):
            spread += float(answer_divergence(vectors).dispersion.sum())
            seen += len(ids)
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        plain = sum(len(vectors) for _, _, vectors in store.vectors.read("answer_embeddings", "bench"))
        reading = time.perf_counter() - started
    assert (seen, plain) == (rows, rows * samples)
    return Result(
        name=f"answer_divergence from LanceDB, {rows:,} x {samples} x {dimension}", figure=peak_megabytes(), unit="MB",
        at_most=500.0,
        note=f"most memory that the process held; {rows / seconds:,.0f} rows/s, {rows / reading:,.0f} if only read",
    )  # fmt: skip


def _write(folder: str, rows: int, samples: int, dimension: int) -> None:
    recipe, facts = Recipe("answer_embeddings", "1", {}), {"examples": rows}
    Store(data_dir=folder).vectors.write(
        "answer_embeddings", "bench", dimension, _batches(rows, samples, dimension),
        lambda: make_provenance(recipe, "bench", {}, rows * samples, facts=facts),
    )  # fmt: skip


def _batches(rows: int, samples: int, dimension: int) -> Iterator[pa.RecordBatch]:
    generator = np.random.default_rng(0)
    for start in range(0, rows, BATCH):
        ids = [f"example-{row:08d}" for row in range(start, min(start + BATCH, rows))]
        yield vector_batch("bench", ids, generator.standard_normal((len(ids), samples, dimension), dtype=np.float32))


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    report(run(), as_json=options.json)
