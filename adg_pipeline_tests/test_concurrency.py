"""Pools, queue and priorities under a real daemon: measured from the events that the runs leave."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest

from adg_pipeline.orchestration.compute import RESELECTION_PRIORITY
from adg_pipeline_tests.dagster_dev import DagsterDev, dagster_dev
from adg_pipeline_tests.kills.victims import find, kill
from adg_pipeline_tests.workbench import Workbench, records

GPU_STEPS = {"generations", "answer_embeddings", "instruction_embeddings", "finetuned_checkpoint"}
SHARDS, ROWS, LIMIT = 5, 6, 2


@dataclass(frozen=True)
class Step:
    """One step of one run: when it began and ended."""

    name: str
    run: str
    begun: float
    ended: float


@pytest.mark.slow
def test_no_more_gpu_steps_than_the_limit_over_all_runs_and_the_rest_is_not_held_up(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.settings["sensors"] = {"interval_seconds": 2, "settle_seconds": 1, "max_shards_per_run": 1}
    bench.settings["selected_subset"]["budget"] = 4
    bench.write_settings()
    pool = records(SHARDS * ROWS)
    for number in range(SHARDS):
        bench.add(f"part-{number}", pool[number * ROWS : (number + 1) * ROWS])
    with dagster_dev(tmp_path, bench.environment()) as dev:
        with bench.instance() as instance:
            instance.event_log_storage.set_concurrency_slots("gpu", LIMIT)
        dev.wait_for("the first shard", lambda: bench.store.shards("divergence_scores"))
        # A selection and a backfill of what is done already join the queue of shards; the worker of one run dies.
        first = bench.store.shards("divergence_scores")[0]
        selection = launch_selection(dev)
        backfill(dev, first)
        worker = dev.wait_for("a run's worker", lambda: find(psutil.Process(dev.process.pid), "worker"))
        kill(worker)
        dev.wait_for("every shard", lambda: len(bench.store.shards("divergence_scores")) == SHARDS)
        dev.wait_for("quiet", lambda: all_ended(dev))
    steps, begun = look_back(bench)
    gpu = [step for step in steps if step.name in GPU_STEPS]
    most = most_at_once(gpu)
    beside = [
        step.name
        for step in steps
        if step.name not in GPU_STEPS and any(other.run != step.run and overlap(step, other) > 0 for other in gpu)
    ]
    overtaken = sum(moment > begun[selection] for run, moment in begun.items() if run != selection)
    print(  # noqa: T201
        f"{len(begun)} runs, {len(gpu)} GPU steps, {most} at once at most; {len(beside)} other steps ran beside them; "
        f"the selection overtook {overtaken} runs"
    )
    assert most == LIMIT
    assert beside
    assert overtaken >= 1
    with bench.instance() as instance:
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []


ADD_PARTITION = """mutation { addDynamicPartition(partitionsDefName: "arms", partitionKey: "random",
  repositorySelector: {repositoryLocationName: "adg_pipeline", repositoryName: "__repository__"}) { __typename } }"""


def launch_selection(dev: DagsterDev) -> str:
    """A selection as the reselection sensor would launch it; returns its run id."""
    mutation = """mutation($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]!) {
      launchRun(executionParams: {selector: $selector, executionMetadata: {tags: $tags}}) {
        __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
    selector = {
        "repositoryLocationName": "adg_pipeline",
        "repositoryName": "__repository__",
        "jobName": "selection",
    }
    dev.query(ADD_PARTITION)
    tags = {**RESELECTION_PRIORITY, "dagster/partition": "random"}
    launched = dev.query(
        mutation, selector=selector, tags=[{"key": key, "value": value} for key, value in tags.items()]
    )["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def backfill(dev: DagsterDev, shard: str) -> None:
    """A backfill of one shard's generations and vectors, as the page launches it."""
    mutation = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
      __typename ... on PythonError { message } } }"""
    assets = [{"path": [asset]} for asset in ("generations", "answer_embeddings")]
    launched = dev.query(mutation, params={"assetSelection": assets, "partitionNames": [shard]})
    assert launched["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", launched


def all_ended(dev: DagsterDev) -> bool:
    return all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in dev.runs())


def look_back(bench: Workbench) -> tuple[list[Step], dict[str, float]]:
    """Every step of every run, and when each run began. A step that was killed ends with its run."""
    kinds = dg.DagsterEventType
    steps, begun = [], {}
    with bench.instance() as instance:
        for run in instance.get_runs():
            open_steps: dict[str, float] = {}
            last = 0.0
            for entry in instance.all_logs(run.run_id):
                event, last = entry.dagster_event, entry.timestamp
                if event is None:
                    continue
                if event.event_type == kinds.RUN_START:
                    begun[run.run_id] = entry.timestamp
                elif event.event_type == kinds.STEP_START:
                    open_steps[event.step_key or ""] = entry.timestamp
                elif event.event_type in (kinds.STEP_SUCCESS, kinds.STEP_FAILURE) and event.step_key in open_steps:
                    steps.append(Step(event.step_key, run.run_id, open_steps.pop(event.step_key), entry.timestamp))
            steps += [Step(name, run.run_id, moment, last) for name, moment in open_steps.items()]
    return steps, begun


def most_at_once(steps: list[Step]) -> int:
    moments = sorted([(step.begun, 1) for step in steps] + [(step.ended, -1) for step in steps])
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


def overlap(one: Step, other: Step) -> float:
    return min(one.ended, other.ended) - max(one.begun, other.begun)
