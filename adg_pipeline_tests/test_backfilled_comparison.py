"""A comparison made on the page alone: a backfill of checkpoints and results over arms and seeds, then the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.orchestration.partitions import register, seeds
from adg_pipeline.store.results import read_results
from adg_pipeline_tests.dagster_dev import DagsterDev, dagster_dev
from adg_pipeline_tests.workbench import Workbench, records

ARMS, SEEDS, LIMIT = ("adg", "random"), (42, 43), 2
REPOSITORY = {"repositoryLocationName": "adg_pipeline", "repositoryName": "__repository__"}


@pytest.mark.slow
def test_a_backfill_over_arms_and_seeds_trains_evaluates_and_can_be_compared(bench: Workbench, tmp_path: Path) -> None:
    bench.add("a", records(30))
    bench.settings["benchmark_results"] = {"suite": "embedded", "limit": LIMIT, "threads": 1}
    bench.settings["comparison_report"] = {"seeds": len(SEEDS)}
    bench.settings["sensors"] = {"arms": []}
    bench.write_settings()
    assert bench.adg("run", "--arm", "adg", "--arm", "random").code == 0
    with bench.instance() as instance:
        register(instance, seeds, [str(seed) for seed in SEEDS])  # as "Add a partition" on the page does
    with dagster_dev(tmp_path, bench.environment()) as dev:
        launched = launch(dev, ["finetuned_checkpoint", "benchmark_results"], [f"{a}|{s}" for a in ARMS for s in SEEDS])
        dev.wait_for("the end of the backfill", lambda: ended(dev, launched))
        assert status(dev, launched) == "COMPLETED_SUCCESS", dev.tail()
        query = (
            '{ assetNodes(assetKeys: [{path: ["benchmark_results"]}]) { partitionStats '
            "{ numPartitions numMaterialized numFailed } } }"
        )
        stats = dev.query(query)["assetNodes"][0]["partitionStats"]
        assert stats == {"numPartitions": 4, "numMaterialized": 4, "numFailed": 0}
        draws = set()
        for seed in SEEDS:
            results = read_results(bench.store.results_dir("random", seed, "embedded", LIMIT))
            assert results is not None
            assert results.manifest["provenance"]["seed"] == seed
            trained = json.loads((bench.store.checkpoint_dir("random", seed) / "training_manifest.json").read_text())
            draws.add(trained["job"]["provenance"]["subset"])
        assert len(draws) == 2

        run = materialise(dev, "comparison")
        dev.wait_for("the report", lambda: run_status(dev, run) in ("SUCCESS", "FAILURE"))
        assert run_status(dev, run) == "SUCCESS", bench.why_failed()
    report = bench.store.report_dir("embedded", LIMIT)
    told = (report / "index.html").read_text("utf-8")
    assert "adg</b> " in told
    # Nothing on the page evaluates the backbone itself, and the report says what does.
    assert "was not evaluated before tuning" in told


def launch(dev: DagsterDev, assets: list[str], partitions: list[str]) -> str:
    """Start a backfill as the page does, and return its id."""
    mutation = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
        __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
    selection = [{"path": [asset]} for asset in assets]
    made = dev.query(mutation, params={"assetSelection": selection, "partitionNames": partitions})
    found: dict[str, str] = made["launchPartitionBackfill"]
    assert found["__typename"] == "LaunchBackfillSuccess", found
    return found["backfillId"]


def status(dev: DagsterDev, backfill: str) -> str:
    query = "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
    found: str = dev.query(query, id=backfill)["partitionBackfillOrError"]["status"]
    return found


def ended(dev: DagsterDev, backfill: str) -> bool:
    return status(dev, backfill) not in ("REQUESTED", "CANCELING", "FAILING")


def materialise(dev: DagsterDev, job: str) -> str:
    """Start a job with the settings that hold, as the page's button does, and return the run's id."""
    mutation = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
        __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
    params = {"selector": {**REPOSITORY, "jobName": job}, "runConfigData": {}, "mode": "default"}
    made: dict[str, Any] = dev.query(mutation, params=params)["launchRun"]
    assert made["__typename"] == "LaunchRunSuccess", made
    found: str = made["run"]["runId"]
    return found


def run_status(dev: DagsterDev, run: str) -> str:
    return next(one["status"] for one in dev.runs() if one["runId"] == run)
