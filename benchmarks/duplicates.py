"""Near duplicates among many examples: signatures shard by shard, clusters over all of them, and one shard more.

Texts are drawn from a vocabulary as skewed as language is; a twentieth of them repeat an earlier one with a word or two
changed. Prints seconds of the clock and of the processor, and the peak of memory.

    python -m benchmarks.duplicates [EXAMPLES] [SHARDS]
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from adg_pipeline.assets.fingerprints import fingerprint_table
from adg_pipeline.settings.sections import FingerprintConfig
from adg_pipeline.store.duplicates import DuplicateIndex
from benchmarks.result import machine_facts

WORDS, VOCABULARY, COPIES, LIKENESS = 60, 50_000, 0.05, 0.8


def texts(count: int, seed: int) -> pl.Series:
    draw = np.random.default_rng(seed)
    ranks = np.minimum(draw.zipf(1.3, (count, WORDS)), VOCABULARY)
    copies = np.flatnonzero(draw.random(count) < COPIES)[1:]
    ranks[copies] = ranks[(draw.random(len(copies)) * copies).astype(np.int64)]
    ranks[copies, draw.integers(0, WORDS, len(copies))] = draw.integers(1, VOCABULARY, len(copies))
    lists = pl.Series(ranks.astype(str).ravel().reshape(ranks.shape).tolist(), dtype=pl.List(pl.String))
    return lists.list.eval("w" + pl.element()).list.join(" ")


def write_shard(folder: Path, number: int, rows: int) -> None:
    turn = pl.List(pl.Struct({"content": pl.String, "tool_calls": pl.String}))
    frame = pl.DataFrame({"instruction": texts(rows, number)}).with_columns(
        example_id=pl.lit(f"{number}-") + pl.int_range(rows).cast(pl.String),
        input=pl.lit(""),
        output=pl.lit(""),
        messages=pl.lit(None, dtype=turn),
    )
    frame.write_parquet(folder / f"raw-{number}.parquet")


def fingerprint(folder: Path, number: int) -> tuple[float, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    table = fingerprint_table(pl.read_parquet(folder / f"raw-{number}.parquet"), FingerprintConfig())
    pq.write_table(table, folder / f"{number}.parquet", compression="zstd")
    return time.perf_counter() - clock, time.process_time() - cpu


def main(examples: int = 1_000_000, shards: int = 100) -> None:
    rows = examples // shards
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(shards + 1):
            write_shard(folder, number, rows)
        own = [fingerprint(folder, number) for number in range(shards + 1)]
        clock, cpu = (sum(column) for column in zip(*own[:-1], strict=True))
        print(f"{machine_facts()}\n{examples:,} examples in {shards} shards, {WORDS} words each")
        print(f"signatures: {clock:.0f} s, {cpu:.0f} s of the processor ({1e6 * cpu / examples:.0f} µs an example)")
        index = DuplicateIndex(folder / "index", LIKENESS)

        def read(shard: str):  # type: ignore[no-untyped-def]
            return pq.read_table(folder / f"{shard}.parquet", columns=["signature", "bands"])

        def clusters(count: int) -> str:
            clock, cpu = time.perf_counter(), time.process_time()
            found = index.components({str(number): "1" for number in range(count)}, read)
            seconds = f"{time.perf_counter() - clock:.2f} s, {time.process_time() - cpu:.2f} s of the processor"
            whole = np.concatenate(list(found.values()))
            return f"{seconds}; {len(whole) - len(np.unique(whole)):,} examples stand behind another"

        print(f"clusters of all: {clusters(shards)}")
        print(f"one shard more: its own work {own[-1][0]:.2f} s, {own[-1][1]:.2f} s of the processor")
        print(f"one shard more: clusters {clusters(shards + 1)}")
        print(f"nothing new: {clusters(shards + 1)}")
        print(f"peak of memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
