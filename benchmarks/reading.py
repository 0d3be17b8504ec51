"""Reading Alpaca JSONL into shards with two processes, against parsing the same lines with the standard library alone."""

import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from adg_pipeline.formats.convert import convert
from adg_pipeline.settings.sections import RawPoolConfig
from benchmarks.pool_memory import records
from benchmarks.result import Result, arguments, peak_megabytes, report

RECORDS, PROCESSES = 200_000, 2


def run(count: int = RECORDS) -> list[Result]:
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool,
    ):
        files = [Path(folder) / f"{number}.jsonl" for number in range(PROCESSES)]
        small = [Path(folder) / f"small-{number}.jsonl" for number in range(PROCESSES)]
        for number, file in enumerate(files):
            _write(file, count // PROCESSES, number)
            _write(small[number], 1, number)
        size = sum(file.stat().st_size for file in files)
        list(pool.map(_read, small))  # processes and their imports aren't counted
        started = time.perf_counter()
        peaks = list(pool.map(_read, files))
        ours = time.perf_counter() - started
        started = time.perf_counter()
        list(pool.map(_parse, files))
        parsing = time.perf_counter() - started
    what = f"{count:,} records, {size / 1e6:.0f} MB, {PROCESSES} processes, in {ours:.1f} s"
    note = f"{what}; the limit is json.loads of each line"
    return [
        Result("reading a pool", size / 1e6 / ours, "MB/s", limit=size / 1e6 / parsing, at_least=150.0, note=note),
        Result("reading a pool, memory", max(peaks), "MB", at_most=500.0, note="most that a process held"),
    ]


def _read(file: Path) -> float:
    convert(file, file.with_suffix(".parquet"), file.with_suffix(".rejects"), RawPoolConfig())
    return peak_megabytes()


def _parse(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(len(json.loads(line)) for line in lines)


def _write(file: Path, count: int, seed: int) -> None:
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in records(count, seed))


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    report(run(), as_json=options.json)
