"""What selecting from millions of examples in thousands of shards takes: from the tables to the written subset.

    python -m benchmarks.many_examples --shards 10000 --rows 1000 [--store DIR] [--arm adg] [--json]

Builds tables of scores and of raw examples, and the bins, through the product's own writers; what a model would say is drawn.
--store keeps what was built. Then selects a hundredth of it in a process of its own, whose memory is told.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from adg_pipeline.algorithms.arms import BUILT_IN
from adg_pipeline.assets.candidates import scored_examples
from adg_pipeline.assets.subset import publish, rank, subset_rows
from adg_pipeline.formats.schema import RAW_POOL_SCHEMA
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.lineage.states import SelectionInputs
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import make_provenance
from benchmarks.result import Result, peak_megabytes, report

BINS, SAMPLES, SHARE = 1000, 5, 100
GOAL_SECONDS, GOAL_MEGABYTES = 60.0, 3000.0  # of 10 million examples in 10,000 shards


def names(shards: int) -> list[str]:
    return [f"part-{number:06}" for number in range(shards)]


def build(store: Store, shards: int, rows: int) -> None:
    """Write what isn't there yet."""
    if store.bins.manifest() is not None:
        return
    random, recipes, assignments = np.random.default_rng(0), wanted_recipes(Settings()), []
    for number, shard in enumerate(names(shards)):
        raw, scores = _tables(random, rows, f"source-{number % 7}")
        for asset, frame in (("raw_pool", raw), ("divergence_scores", scores)):
            table = frame.to_arrow()
            if asset == "raw_pool":
                table = table.cast(RAW_POOL_SCHEMA)
            store.write_table(table, make_provenance(recipes[asset], shard, {}, rows))
        drawn = random.integers(0, BINS, rows).astype(np.int32)
        assignments.append(scores.select(pl.lit(shard).alias("shard"), "example_id", bin=pl.Series(drawn)))
        if (number + 1) % 1000 == 0:
            print(f"{number + 1:,} of {shards:,} shards", file=sys.stderr, flush=True)
    store.bins.publish(np.zeros((BINS, 2), np.float32), pl.concat(assignments), {"fit": {"fit_id": "drawn"}})


def _tables(random: np.random.Generator, rows: int, source: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    ids = [random.bytes(16).hex() for _ in range(rows)]
    raw = pl.DataFrame(
        {
            "example_id": ids,
            "source": [source] * rows,
            "instruction": [f"What is {one[:12]}?" for one in ids],
            "input": [""] * rows,
            "output": [one[12:] for one in ids],
            "messages": pl.Series([None] * rows, dtype=pl.Null),
            "tools": [""] * rows,
            "content_hash": ids,
            "row": np.arange(1, rows + 1),
        }
    )
    dispersion = np.where(random.random(rows) < 0.3, 0.0, random.random(rows).round(4))
    scores = pl.DataFrame(
        {
            "example_id": ids,
            "content_hash": ids,
            "source": [source] * rows,
            "output_chars": np.full(rows, 20, np.int32),
            "empty_answers": np.zeros(rows, np.int32),
            "distinct_answers": np.full(rows, SAMPLES, np.uint32),
            "answer_tokens": np.full(rows, 3.0),
            "dispersion": dispersion,
            "anisotropy": random.random(rows).round(4),
            "modes": np.ones(rows, np.int32),
            "cosines": random.random((rows, SAMPLES * SAMPLES)).astype(np.float32).tolist(),
        },
        schema_overrides={"cosines": pl.List(pl.Float32)},
    )
    return raw, scores


def measure(store: Store, shards: int, rows: int, arm: str) -> list[Result]:
    contents = dict.fromkeys(names(shards), "drawn")
    inputs = SelectionInputs(contents, contents, {"one": list(contents)}, {})
    config = BUILT_IN[arm].config(SelectionConfig(budget=max(1, shards * rows // SHARE)))
    started = time.perf_counter()
    ranking, _ = rank(store, arm, scored_examples(store, inputs, config), config)
    ranked = time.perf_counter() - started
    subset = subset_rows(store, ranking)
    publish(store.root / "selections" / arm, ranking, subset, {"config": config.model_dump(mode="json")})
    seconds = time.perf_counter() - started
    note = f"{shards * rows:,} examples in {shards:,} shards, {subset.height:,} selected; ranked after {ranked:.1f} s"
    return [
        Result(f"selection by {arm}, tables to subset", seconds, "s", at_most=GOAL_SECONDS, note=note),
        Result(f"selection by {arm}, memory", peak_megabytes(), "MB", at_most=GOAL_MEGABYTES, note=note),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=1_000, help="examples in a shard")
    parser.add_argument("--store", type=Path, help="folder to build in and to keep; a temporary one by default")
    parser.add_argument("--arm", default="adg", choices=[name for name in BUILT_IN if name in ("adg", "random")])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process, of what is built
    options = parser.parse_args()
    if options.here:
        report(
            measure(Store(data_dir=str(options.store)), options.shards, options.rows, options.arm), as_json=options.json
        )
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.store or Path(temporary)
        build(Store(data_dir=str(folder)), options.shards, options.rows)
        command = [sys.executable, "-m", "benchmarks.many_examples", *sys.argv[1:], "--store", str(folder), "--here"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
