"""Mutates real pool files of every format and converts them: only PoolFileError may escape, and nothing may hang.

    python benchmarks/fuzz_formats.py POOLS [--mutations 20000] [--seed 0]

POOLS is a folder of pool files. Each is cut to its first 60 records, in every container and compression that fits, and
mutated: bytes flipped, cut off, doubled, removed, swapped for structure. The exit code is 1 if anything else escaped,
counts didn't add up, what was written can't be read back, or one mutation took more than the time limit.
"""

import argparse
import gzip
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from adg_pipeline.formats import streams
from adg_pipeline.formats.convert import PoolFileError, convert
from adg_pipeline.formats.split import add_to_pool
from adg_pipeline.settings.sections import RawPoolConfig

RECORDS = 60
SECONDS_PER_MUTATION = 5  # of this process's own time, so that a busy machine doesn't fail it
SPLICES = (
    b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\n", b"\r", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\\ud800", b"\\u0000", b"null", b"NaN", b"1e999", b"[" * 2000, b'{"a":' * 2000, b"9" * 5000, b" " * 5000,
    b'"id": 7,', b'"messages": [],', b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1",
)  # fmt: skip


class TooSlow(BaseException):
    """Not an Exception: nothing in between may take it for a fault of the data."""


@dataclass
class Report:
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def seeds(pools: Path, folder: Path) -> dict[str, bytes]:
    """Name and bytes of each file to mutate."""
    found: dict[str, bytes] = {}
    for path in sorted(pools.rglob("*.json")):
        records = json.loads(path.read_text("utf-8"))[:RECORDS]
        array, lines = json.dumps(records, ensure_ascii=False, indent=1), "".join(_lines(records))
        found[path.name] = array.encode()
        found[f"{path.stem}.jsonl"] = lines.encode()
        found[f"{path.stem}.utf16.json"] = array.encode("utf-16")
        found[f"{path.stem}.json.gz"] = gzip.compress(array.encode(), mtime=0)
        found[f"{path.stem}.jsonl.zst"] = zstandard.compress(lines.encode())
        table = folder / "seed.parquet"
        pq.write_table(pa.Table.from_pylist(records), table)
        found[f"{path.stem}.parquet"] = table.read_bytes()
        canonical = add_to_pool(path, folder / "pool", limit=RECORDS)[0].path
        found[f"{path.stem}.canonical.jsonl"] = canonical.read_bytes()
    for path in [*sorted(pools.rglob("*.jsonl")), *sorted(pools.rglob("*.tsv"))]:
        found[path.name] = b"".join(path.read_bytes().splitlines(keepends=True)[:RECORDS])
    return found


def _lines(records: list[object]) -> list[str]:
    return [json.dumps(record, ensure_ascii=True) + "\n" for record in records]


def mutated(data: bytes, draw: random.Random) -> bytes:
    """One to four mutations, each at a place drawn at random."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(changed) + 1)
        length = draw.choice((1, 1, 2, 16, 500))
        match draw.randrange(6):
            case 0:
                changed[at : at + length] = draw.randbytes(len(changed[at : at + length]))
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + 20 * length]
            case 4:
                changed[at : at + draw.choice((0, 1))] = draw.choice(SPLICES)
            case 5:
                other = draw.randrange(len(changed) + 1)
                changed[at:at] = changed[other : other + length]
    return bytes(changed)


def attempt(data: bytes, folder: Path) -> str:
    """Convert the bytes; what came of it. Raises whatever convert must not let out."""
    path, table, rejects = folder / "mutated", folder / "table.parquet", folder / "rejects.jsonl"
    path.write_bytes(data)
    try:
        summary = convert(path, table, rejects, RawPoolConfig(max_record_mib=0.25))
    except PoolFileError as error:
        assert str(path) in str(error)
        return "refused"
    assert summary.read == summary.accepted + summary.rejected, summary
    assert sum(summary.reasons.values()) == summary.rejected, summary
    stored = pq.read_table(table)
    assert stored.num_rows == summary.accepted, summary
    ids = stored["example_id"].to_pylist()
    assert len(set(ids)) == len(ids), "an id stands twice"
    rejected = [json.loads(line) for line in rejects.open(encoding="utf-8")] if rejects.exists() else []
    assert len(rejected) == summary.rejected, summary
    return "partly accepted" if rejected else "accepted"


def fuzz(pools: Path, mutations: int, seed: int) -> Report:
    """Try `mutations` mutations, the formats taking turns."""
    report, draw = Report(), random.Random(seed)
    folder = Path(tempfile.mkdtemp())
    # Small chunks, so that records, strings and escapes straddle them as they do in large files.
    chunk_bytes, streams.CHUNK_BYTES = streams.CHUNK_BYTES, 1009
    before = signal.signal(signal.SIGPROF, _too_slow)
    try:
        files = list(seeds(pools, folder).items())
        for number in range(mutations):
            name, data = files[number % len(files)]
            changed = mutated(data, draw)
            started = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS_PER_MUTATION)
            try:
                outcome = attempt(changed, folder)
            except (Exception, TooSlow) as error:
                outcome = "FAILED"
                report.failures.append(f"mutation {number} of {name} (seed {seed}): {type(error).__name__}: {error}")
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            report.slowest = max(report.slowest, time.process_time() - started)
            report.outcomes[outcome] += 1
    finally:
        streams.CHUNK_BYTES = chunk_bytes
        signal.signal(signal.SIGPROF, before)
        shutil.rmtree(folder)
    return report


def _too_slow(signal_number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"more than {SECONDS_PER_MUTATION} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pools", type=Path)
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    report = fuzz(arguments.pools, arguments.mutations, arguments.seed)
    seconds = time.perf_counter() - started
    print(f"{arguments.mutations:,} mutations in {seconds:.0f} s, slowest {report.slowest:.2f} s of processor time")
    for outcome, count in report.outcomes.most_common():
        print(f"{outcome}: {count:,}")
    for failure in report.failures[:20]:
        print(failure)
    return int(bool(report.failures))


if __name__ == "__main__":
    sys.exit(main())
