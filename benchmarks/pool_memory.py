"""Peak memory and throughput of reading a large JSON array.

    python benchmarks/pool_memory.py [--gib 1.0] [--limit-mib 500]

Writes an Alpaca array of that size into a temporary folder, converts it in a process of its own and prints what that
process's peak resident memory was, the interpreter and Arrow included. Exit code 1 if it was over the limit.
"""

import argparse
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

STEMS = ("ta", "mor", "quin", "sel", "vor", "ü", "数据")
WORDS = [f"{stem}{ending}" for stem in STEMS for ending in ("en", "ix", "o\n", ',"', "]}", "[{", "\\")]


def write_array(path: Path, size: int) -> int:
    """An array of at least `size` bytes of `records`; returns how many."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("[\n")
        for number, record in enumerate(records(None)):
            text = (",\n" if number else "") + json.dumps(record, ensure_ascii=number % 2 == 0)
            file.write(text)
            written += len(text.encode())
            if written >= size:
                break
        file.write("\n]\n")
    return number + 1


def records(count: int | None, seed: int = 0) -> Iterator[dict[str, str]]:
    """Alpaca records of 0.1 to 2 KB, 0.5 KB on average; without end if count is None."""
    draw = random.Random(seed)
    for number in range(count) if count is not None else itertools.count():
        words = [draw.choice(WORDS) for _ in range(draw.choice((5, 20, 60, 150)))]
        cut = len(words) // 4
        yield {"instruction": f"{number} {' '.join(words[:cut])}", "input": "", "output": " ".join(words[cut:])}


def convert_here(path: Path) -> None:
    from adg_pipeline.formats.convert import convert
    from adg_pipeline.settings.sections import RawPoolConfig

    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started, cpu = time.perf_counter(), time.process_time()
    summary = convert(path, path.with_suffix(".parquet"), path.with_suffix(".rejects"), RawPoolConfig())
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "bytes": summary.bytes,
        "read": summary.read,
        "accepted": summary.accepted,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "megabytes_per_second": round(summary.bytes / seconds / 1e6, 1),
        "records_per_second": round(summary.read / seconds),
        "peak_rss_mib": round(peak),
        "rss_after_imports_mib": round(imported),
    }
    print(json.dumps(figures))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=1.0, help="size of the array")
    parser.add_argument("--limit-mib", type=float, default=500.0, help="peak resident memory allowed")
    parser.add_argument("--convert", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.convert:
        convert_here(arguments.convert)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.json"
        write_array(path, int(arguments.gib * 2**30))
        command = [sys.executable, __file__, "--convert", str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout
    print(output.strip())
    return int(json.loads(output)["peak_rss_mib"] > arguments.limit_mib)


if __name__ == "__main__":
    sys.exit(main())
