"""A run that waits for a place in a pool looks for one some times a second, in whichever executor."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.plan.active import ActiveExecution

import adg_pipeline.assets.graph  # noqa: F401 - as whatever executes a run of ours does
from adg_pipeline.orchestration.pool_waits import PAUSE

HELD_SECONDS = 2.0


@dg.op(pool="gpu")
def wanting() -> None:
    """Needs a place in the pool."""


@dg.job(executor_def=dg.in_process_executor)
def in_process() -> None:
    wanting()


@dg.job(executor_def=dg.multiprocess_executor)
def in_processes() -> None:
    wanting()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    pools = {"concurrency": {"pools": {"granularity": "op", "default_limit": 1}}, "telemetry": {"enabled": False}}
    with dg.instance_for_test(overrides=pools, temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.mark.parametrize("job", [in_process, in_processes], ids=lambda job: job.name)
def test_a_run_that_waits_for_a_pool_leaves_the_core_to_others(
    job: dg.JobDefinition, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("gpu")
    assert storage.claim_concurrency_slot("gpu", "another-run", "its-step").is_claimed
    looks: list[float] = []
    looks_while_held: list[float] = []

    def end() -> None:
        looks_while_held.extend(looks)
        storage.free_concurrency_slots_for_run("another-run")

    ends = threading.Timer(HELD_SECONDS, end)
    look = ActiveExecution.get_steps_to_execute

    def counted(*given: Any, **named: Any) -> Any:
        if not looks:
            ends.start()  # however long the run took to begin
        looks.append(time.monotonic())
        return look(*given, **named)

    monkeypatch.setattr(ActiveExecution, "get_steps_to_execute", counted)
    with dg.execute_job(dg.reconstructable(job), instance) as result:
        assert result.success
    ends.join()
    assert len(looks_while_held) >= 2
    assert len(looks_while_held) <= 2 + (looks_while_held[-1] - looks_while_held[0]) / PAUSE
