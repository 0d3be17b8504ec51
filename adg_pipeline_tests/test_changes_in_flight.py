"""Pool files that change while a run has them: what comes out is what a fresh pipeline makes of the final pool."""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from adg_pipeline.definitions import build_defs
from adg_pipeline.orchestration.runs import REMOVE_SHARDS_JOB, removal_config
from adg_pipeline_tests.kills.outcome import assert_same, leftovers, outcome
from adg_pipeline_tests.workbench import Workbench, records


def small(bench: Workbench) -> None:
    bench.settings["embeddings"] = {"embedder": "hidden_state"}
    bench.settings["selected_subset"]["budget"] = 5
    bench.write_settings()


def change_at_random(bench: Workbench, rng: random.Random, spare: list[dict[str, str]]) -> str:
    """Add, append to, edit or remove a file of the pool."""
    files = sorted(bench.pool.glob("*.jsonl"))
    what = rng.choice(["add", "append", "edit", "remove"] if len(files) > 2 else ["add", "append"])
    if what == "add":
        bench.add(f"file-{rng.randrange(1000):03}", [spare.pop(), spare.pop()])
        return what
    path = rng.choice(files)
    if what == "remove":
        path.unlink()
        return what
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    temporary = path.with_suffix(".tmp")
    rest = lines if what == "append" else lines[1:]
    temporary.write_text("".join([*rest, json.dumps(spare.pop()) + "\n"]), encoding="utf-8")
    temporary.replace(path)
    return what


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_any_order_of_changes_during_runs_ends_in_the_final_pool(bench: Workbench, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    spare = records(60)
    small(bench)
    for number in range(3):
        bench.add(f"first-{number}", [spare.pop() for _ in range(4)])
    done = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "adg_pipeline.cli", "run"],
            env={**os.environ, **bench.environment()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3):
            time.sleep(rng.uniform(0.5, 4.0))
            done.append(change_at_random(bench, rng, spare))
        assert process.wait(120) in (0, 1)
    settled = bench.adg("run")
    assert settled.code == 0, settled.err

    fresh = Workbench(tmp_path / "fresh", bench.capture)
    small(fresh)
    for path in bench.pool.glob("*.jsonl"):
        (fresh.pool / path.name).write_bytes(path.read_bytes())
    assert fresh.adg("run").code == 0
    found, expected = outcome(bench), outcome(fresh)
    # Centroids stay while a pool grows, so the subset may differ from a fresh one's; what it is made from may not.
    assert_same(replace(found, subset=expected.subset), expected)
    manifest = bench.store.selection_manifest("adg")
    assert manifest is not None
    assert set(manifest["shards"]) == {path.stem for path in bench.pool.glob("*.jsonl")}
    assert leftovers(bench) == {}


def test_a_shard_whose_file_came_back_is_not_removed(bench: Workbench) -> None:
    small(bench)
    bench.add("a", records(3))
    bench.add("b", records(3, first=3))
    assert bench.adg("run").code == 0
    (bench.pool / "a.jsonl").rename(bench.pool / "a.jsonl.tmp")
    (bench.pool / "b.jsonl").unlink()
    bench.add("c", records(1, first=6))
    defs = build_defs(resource_overrides={"store": bench.store})
    with bench.instance() as instance:
        job = defs.resolve_job_def(REMOVE_SHARDS_JOB)
        assert job.execute_in_process(removal_config(["a", "b", "c"]), instance).success
        assert instance.get_dynamic_partitions("pool_shards") == ["a"]
    assert bench.store.shards("generations") == ["a"]
    assert bench.store.vectors.shards("answer_embeddings") == ["a"]
