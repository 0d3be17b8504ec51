"""reference_losses beside generations: what an arm that reads log-probabilities adds to the bill.

Both with the same open backbone and over the same records, one after the other. Seconds of the processor are told too: they
hardly depend on what else the machine does.
"""

import json
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.demo.pool import pool_records
from adg_pipeline.formats.convert import convert
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.shard import generate_shard
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.settings.sections import GenerationConfig, RawPoolConfig, ReferenceLossConfig
from benchmarks.result import Result, arguments, report

T = TypeVar("T")


def run(
    pool: Path | None = None,
    examples: int = 500,
    backbone: str = "embedded",
    engine: str = "transformers",
    max_new_tokens: int = 64,
) -> list[Result]:
    """pool: a pool file; the demo's records if not given."""
    config = GenerationConfig.model_validate({"backbone": backbone, "engine": engine, "max_new_tokens": max_new_tokens})
    with tempfile.TemporaryDirectory() as folder, open_generator(config) as generator:
        raw = _raw_pool(pool, Path(folder)).slice(0, examples)
        with AnswerJournal(Path(folder) / "answers.jsonl") as journal:
            (answers, counts), *paid = _timed(lambda: generate_shard(raw, generator, config, journal))
        results = []
        for name, table, options in (
            ("reference_losses", answers, ReferenceLossConfig()),
            ("the same with plain passes", answers, ReferenceLossConfig(plain=True)),
            ("the same of answers without log-probabilities", _as_once(answers), ReferenceLossConfig()),
        ):
            (_, facts), *spent = _timed(lambda: score_references(raw, table, generator, options))  # noqa: B023
            shares = [seconds / (seconds + of_all) for seconds, of_all in zip(spent, paid, strict=True)]
            results.append(
                Result(
                    name=name,
                    figure=raw.num_rows / spent[0],
                    baseline=raw.num_rows / paid[0],
                    unit="examples/s",
                    note=f"{raw.num_rows} examples, {config.samples} answers each ({counts.output_tokens:,} tokens), "
                    f"{facts['reference_tokens']:,} reference tokens; generations {paid[0]:.1f} s ({paid[1]:.1f} s of the "
                    f"processor), this {spent[0]:.1f} s ({spent[1]:.1f} s): {shares[0]:.1%} of both ({shares[1]:.1%})",
                )
            )
    return results


def _timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """What it gives, seconds on the clock, seconds of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    done = work()
    return done, time.perf_counter() - clock, time.process_time() - processor


def _as_once(answers: pa.Table) -> pa.Table:
    """A table of before answers kept their log-probability."""
    return answers.drop_columns(["output_logprobs"])


def _raw_pool(pool: Path | None, folder: Path) -> pa.Table:
    if pool is None:
        pool = folder / "pool.jsonl"
        pool.write_text("".join(json.dumps(record) + "\n" for record in islice(pool_records(seed=0), 5_000)))
    convert(pool, folder / "raw.parquet", folder / "rejects.jsonl", RawPoolConfig())
    return pq.read_table(folder / "raw.parquet")


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--pool", type=Path, help="a pool file; the demo's records if not given")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--backbone", default="embedded", help="a directory, a hub name, or 'embedded'")
    parser.add_argument("--engine", default="transformers", choices=["transformers", "vllm"])
    parser.add_argument("--max-new-tokens", type=int, default=64)
    options = parser.parse_args()
    found = run(options.pool, options.examples, options.backbone, options.engine, options.max_new_tokens)
    report(found, as_json=options.json)
