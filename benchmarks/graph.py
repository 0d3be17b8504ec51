"""The whole graph on 20 shards, as `adg run` does it, over the same functions called one after the other.

Plain Python pays for no journal of paid answers, no provenance, no event log, no process of a run, and it couldn't go on
after a crash. Both open each model once; Python's start is counted on both sides.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from adg_pipeline.demo.pool import pool_records
from benchmarks.result import Result, arguments, report

SHARDS, EXAMPLES, NEW_TOKENS = 20, 100, 40
SETTINGS = {
    "generations": {"max_new_tokens": NEW_TOKENS},
    "embeddings": {"embedder": "hidden_state"},
}


def run(shards: int = SHARDS, examples: int = EXAMPLES) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder) / "data" / "pool"
        pool.mkdir(parents=True)
        records = pool_records(seed=0)
        for shard in range(shards):
            lines = (json.dumps(record) + "\n" for record in islice(records, examples))
            (pool / f"shard-{shard:02d}.jsonl").write_text("".join(lines), encoding="utf-8")
        settings = {**SETTINGS, "selected_subset": {"budget": shards * examples // 10}}
        (Path(folder) / "adg.yaml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        through_graph = _seconds(["adg_pipeline.cli", "run"], folder)
        plain = _seconds(["benchmarks.graph", "--plain", folder], folder)
        nothing = _seconds(["adg_pipeline.cli", "run"], folder)
        subset = Path(folder) / "data" / "selections" / "adg" / "subset.parquet"
        chosen = set(pq.read_table(subset, columns=["example_id"])["example_id"].to_pylist())
        same = chosen == set(json.loads((Path(folder) / "plain.json").read_text(encoding="utf-8")))
    if not same:
        raise RuntimeError("the graph and the plain functions selected different subsets")
    rows = shards * examples
    over = (through_graph - plain) / shards
    return [
        Result(
            f"the whole graph, {shards} shards", rows / through_graph, "examples/s", rows / plain, goal=0.91,
            note=f"{shards} x {examples} examples, {through_graph:.0f} s against {plain:.0f} s; the same subset. `adg run` "
            f"with nothing to do takes {nothing:.1f} s",
        ),
        Result("what a shard costs more than its work", over, "s", at_most=3.0),
    ]  # fmt: skip


def _seconds(module: list[str], folder: str) -> float:
    places = {"ADG_DATA_DIR": "data", "ADG_CONFIG": "adg.yaml", "DAGSTER_HOME": "dagster"}
    environment = {**os.environ, **{name: f"{folder}/{place}" for name, place in places.items()}, "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *module], check=False, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(module)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - started


def plainly(folder: Path) -> None:
    """Everything from the pool to the ids of the subset, by the product's functions, without the product around them."""
    import numpy as np
    import pyarrow as pa

    from adg_pipeline.algorithms.bins import assign, bin_count, fit_centroids
    from adg_pipeline.algorithms.divergence import adg_score, answer_divergence
    from adg_pipeline.algorithms.prompts import user_turn
    from adg_pipeline.algorithms.selection import select
    from adg_pipeline.formats.convert import convert
    from adg_pipeline.resources.embedders import HiddenStateEmbedder
    from adg_pipeline.resources.generators.factory import open_generator
    from adg_pipeline.resources.generators.journal import AnswerJournal
    from adg_pipeline.resources.generators.shard import generate_shard
    from adg_pipeline.settings.sections import BinConfig, EmbeddingConfig, GenerationConfig, RawPoolConfig, ScoreConfig

    budget = json.loads((folder / "adg.yaml").read_text(encoding="utf-8"))["selected_subset"]["budget"]
    work = folder / "plain"
    work.mkdir()
    sampling, bins_by = GenerationConfig(max_new_tokens=NEW_TOKENS), BinConfig()
    tables: list[tuple[pa.Table, pa.Table]] = []
    with open_generator(sampling) as generator:
        for file in sorted((folder / "data" / "pool").glob("*.jsonl")):
            convert(file, work / f"{file.stem}.parquet", work / "rejects.jsonl", RawPoolConfig())
            raw = pq.read_table(work / f"{file.stem}.parquet")
            with AnswerJournal(work / f"{file.stem}.jsonl") as journal:
                answers, _ = generate_shard(raw, generator, sampling, journal)
            tables.append((raw, answers))
    ids, contents, scores, instructions = [], [], [], []
    with HiddenStateEmbedder(sampling.backbone, batch_size=EmbeddingConfig().batch_size) as embedder:
        for raw, answers in tables:
            rows = [(row, one) for row, one in zip(raw.to_pylist(), answers.to_pylist(), strict=True)
                    if one["status"] == "ok" and all(text.strip() for text in one["answers"])]  # fmt: skip
            asked = [user_turn(row["instruction"], row["input"]) for row, _ in rows]
            vectors = embedder.embed_answers(asked, [one["answers"] for _, one in rows])
            np.save(work / "vectors.npy", vectors, allow_pickle=False)
            spread = answer_divergence(vectors).rounded(ScoreConfig().decimals)
            scores.append(adg_score(spread.dispersion, spread.anisotropy))
            instructions.append(embedder.embed_instructions([row["instruction"] for row, _ in rows]))
            ids += [row["example_id"] for row, _ in rows]
            contents += [row["content_hash"] for row, _ in rows]
    places = np.concatenate(instructions)
    count = bin_count(len(ids), bins_by.bins, bins_by.examples_per_bin)
    centroids = fit_centroids(places, ids, count, seed=bins_by.seed, n_init=bins_by.n_init, max_iter=bins_by.max_iter)
    ranked = np.concatenate(scores)
    # Examples of equal content count once: the best of them by score, then by id.
    first: dict[str, int] = {}
    for row in sorted(range(len(ids)), key=lambda row: (-ranked[row], ids[row])):
        first.setdefault(contents[row], row)
    kept = sorted(first.values())
    chosen = select([ids[row] for row in kept], ranked[kept], assign(places[kept], centroids), budget)
    (folder / "plain.json").write_text(json.dumps(list(chosen)), encoding="utf-8")


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--plain", type=Path, help="only the plain functions, on the pool of this folder")
    options = parser.parse_args()
    if options.plain:
        plainly(options.plain)
    else:
        report(run(), as_json=options.json)
