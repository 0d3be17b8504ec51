"""Pool files that change while a run has them: what comes out is what a fresh pipeline makes of the final pool."""

import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from adg_pipeline.definitions import build_defs
from adg_pipeline.lineage.states import SHARD_ASSETS
from adg_pipeline.orchestration.runner import RunReport
from adg_pipeline.orchestration.runs import REMOVE_SHARDS_JOB, removal_config
from adg_pipeline_tests.kills.outcome import assert_same, leftovers, outcome
from adg_pipeline_tests.kills.victims import wait_for_moment
from adg_pipeline_tests.workbench import Workbench, records

# Another number or more of them: ADG_SEEDS=100-160.
SEEDS = range(*map(int, os.environ.get("ADG_SEEDS", "1-2").split("-")))


def small(bench: Workbench) -> None:
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


def change_while(bench: Workbench, rng: random.Random, spare: list[dict[str, str]], over: threading.Event) -> list[str]:
    """Three changes, each at a moment of its own until the run is over: after a while, or at a new file of the store."""
    done = []
    for _ in range(3):
        moment = wait_for_moment(rng, alive=lambda: not over.is_set(), data=bench.folder / "data", longest=4.0)
        done.append(f"{change_at_random(bench, rng, spare)} {moment}")
    return done


@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_of_changes_during_runs_ends_in_the_final_pool(bench: Workbench, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    spare = records(60)
    small(bench)
    for number in range(3):
        bench.add(f"first-{number}", [spare.pop() for _ in range(4)])
    for _ in range(2):
        over = threading.Event()
        with ThreadPoolExecutor(1) as beside:
            changes = beside.submit(change_while, bench, rng, spare, over)
            try:
                assert bench.adg("run").code in (0, 1)
            finally:
                over.set()
            print("\n".join(changes.result()))  # noqa: T201
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


def test_files_that_come_and_go_between_two_looks_are_met_as_they_are_then(bench: Workbench) -> None:
    """One that is new is computed in the same call, one that is gone is forgotten, one that changed is taken as it is."""
    small(bench)
    for number, name in enumerate(("changed", "gone", "kept")):
        bench.add(name, records(2, first=2 * number))
    changes = [
        lambda: (bench.pool / "gone.jsonl").unlink(),
        lambda: bench.add("changed", records(3, first=10)),
        lambda: bench.add("a-new-one", records(2, first=20)),
    ]

    def say(text: str) -> None:
        if text.startswith("computing") and changes:
            for change in changes:
                change()
            changes.clear()

    report = RunReport()
    with bench.instance() as instance:
        runner = bench.runner(instance, say=say)
        runner.bring_shards_up_to_date(report)
        assert (report.failed, report.shards_left_out) == ([], {})
        assert set(report.shards_computed) == {"a-new-one", "changed", "kept"}
        assert bench.store.required_provenance("raw_pool", "changed").rows == 3
        # What is stored of the one that is gone goes with the next call; a table that no partition tells of, too.
        bench.add("gone", records(1))
        runner.bring_shards_up_to_date(RunReport())
        (bench.pool / "gone.jsonl").unlink()
        instance.delete_dynamic_partition("pool_shards", "gone")
        runner.bring_shards_up_to_date(RunReport())
    for asset in SHARD_ASSETS:
        assert bench.store.shards(asset) == ["a-new-one", "changed", "kept"]


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
