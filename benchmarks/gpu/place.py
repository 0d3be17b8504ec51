"""Where the stages work and on what; what they find is a line of JSON each in ``results.jsonl``."""

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.demo.pool import pool_records
from adg_pipeline.formats.convert import convert
from adg_pipeline.settings.sections import RawPoolConfig
from benchmarks.gpu import backbones
from benchmarks.result import Result, machine_facts

RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Place:
    """shape: of the backbone, and of the one that is tuned. examples: of the pool, K = 5 answers of `new_tokens` each."""

    work: Path
    pool: Path | None
    shape: str
    tuned_shape: str
    examples: int
    new_tokens: int
    steps: int

    @cached_property
    def raw(self) -> pa.Table:
        """The examples as a raw pool table."""
        table = self.work / "raw.parquet"
        if not table.exists():
            convert(self.pool_file, table, self.work / "rejects.jsonl", RawPoolConfig())
        read = pq.read_table(table)
        if read.num_rows < self.examples:
            raise SystemExit(f"the pool has {read.num_rows} examples, {self.examples} are asked for")
        return read.slice(0, self.examples)

    @property
    def pool_file(self) -> Path:
        if self.pool is not None:
            return self.pool
        made = self.work / "demo.jsonl"
        if not made.exists():
            _write(made, islice(pool_records(seed=0), max(self.examples, 2_000)))
        return made

    @cached_property
    def records(self) -> Path:
        """The examples, and no others, as a pool file."""
        made = self.work / "pool.jsonl"
        _write(made, self.raw.select(["instruction", "input", "output"]).to_pylist())
        return made

    def backbone(self, shape: str | None = None) -> str:
        """Folder of the backbone of a shape, whose tokenizer has learnt from the pool."""
        shape = shape or self.shape
        texts = (f"{row['instruction']} {row['input']} {row['output']}" for row in self.raw.to_pylist())
        return str(backbones.make(self.work / shape, shape, texts))

    @property
    def answers(self) -> Path:
        """What the sampling stage leaves for the embedding stage."""
        return self.work / "answers.parquet"

    def found(self, **fields: object) -> None:
        """Note a result. Fields are those of `Result`."""
        result = Result(**fields, machine=machine())  # type: ignore[arg-type]
        with (self.work / RESULTS).open("a") as file:
            file.write(json.dumps(result.record(), ensure_ascii=False) + "\n")
        print(result.line(), flush=True)

    def results(self) -> list[Result]:
        """All that was noted, by whichever process."""
        file = self.work / RESULTS
        return [Result.of(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def _write(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def machine() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"no GPU, {machine_facts()}"
    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {machine_facts()}"


@dataclass
class Busy:
    """Percent of the time, second by second, in which the GPU ran something."""

    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.seconds:
            return "GPU busy: not measured"
        return f"GPU busy {sum(self.seconds) / len(self.seconds):.0f}% of the time"


@contextmanager
def gpu_busy() -> Iterator[Busy]:
    """What nvidia-smi says of the GPU meanwhile; nothing where there is none."""
    busy = Busy()
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop=1"]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        yield busy
        return

    def read() -> None:
        assert process.stdout is not None
        busy.seconds.extend(float(line) for line in process.stdout if line.strip().isdigit())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield busy
    finally:
        process.terminate()
        reader.join(timeout=5)
