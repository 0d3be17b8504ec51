"""A real `dagster dev` with its daemon: files are dropped into the pool, and everything else happens by itself."""

import time
from pathlib import Path

import pytest

from adg_pipeline_tests.dagster_dev import DagsterDev, dagster_dev
from adg_pipeline_tests.workbench import Workbench, records


@pytest.mark.slow
def test_dropped_files_are_computed_and_the_subset_renewed_without_a_touch(bench: Workbench, tmp_path: Path) -> None:
    bench.settings["sensors"] = {"interval_seconds": 2, "settle_seconds": 1}
    bench.write_settings()
    bench.add("first", records(14))
    with dagster_dev(tmp_path, bench.environment()) as dev:
        names = ("pool_growth_sensor", "reselection_sensor", "run_health_sensor")
        assert sensors(dev) == dict.fromkeys(names, "RUNNING")
        dev.wait_for("the first subset", lambda: pool_of_subset(bench) == 14)
        computed_first = bench.stamps("generations")

        dropped = time.monotonic()
        bench.add("second", records(14, first=14))
        dev.wait_for("the second shard's scores", lambda: "second" in bench.store.shards("divergence_scores"))
        scored = time.monotonic() - dropped
        dev.wait_for("the renewed subset", lambda: pool_of_subset(bench) == 28)
        renewed = time.monotonic() - dropped
        assert bench.stamps("generations")["first"] == computed_first["first"]

        (bench.pool / "first.jsonl").unlink()
        dev.wait_for("the subset without the removed file", lambda: pool_of_subset(bench) == 14)
        dev.wait_for("the removal's end", lambda: quiet(dev, "remove_shards_job"))
        assert bench.store.shards("raw_pool") == ["second"]
        assert bench.store.vectors.count("answer_embeddings", "first") == 0

        # Level-triggered, not busy: once all is up to date, nothing more is run.
        settled = dev.wait_for("quiet", lambda: quiet(dev))
        dev.wait_for_looks(names, 3)
        assert len(dev.runs()) == settled
        assert {run["status"] for run in dev.runs()} == {"SUCCESS"}
    print(f"second shard scored after {scored:.1f} s, subset renewed after {renewed:.1f} s")  # noqa: T201


def sensors(dev: DagsterDev) -> dict[str, str]:
    selector = '{repositoryName: "__repository__", repositoryLocationName: "adg_pipeline"}'
    fields = "... on Sensors { results { name sensorState { status } } }"
    query = f"{{ sensorsOrError(repositorySelector: {selector}) {{ {fields} }} }}"
    found = dev.query(query)["sensorsOrError"]["results"]
    return {sensor["name"]: sensor["sensorState"]["status"] for sensor in found}


def pool_of_subset(bench: Workbench) -> int:
    """Examples in the pool that the subset was chosen from."""
    manifest = bench.store.selection_manifest("adg")
    return 0 if manifest is None else int(manifest["counts"]["pool"])


def quiet(dev: DagsterDev, job: str | None = None) -> int | None:
    """How many runs (of a job) there are, once all of them have ended."""
    runs = [run for run in dev.runs() if job in (None, run["jobName"])]
    return len(runs) if all(run["status"] in ("SUCCESS", "FAILURE") for run in runs) else None
