"""deploy/ray on a real cluster of one machine: the graph end to end, by its sensors, with a worker killed on the way."""

import importlib.util
from pathlib import Path

import dagster as dg
import psutil
import pytest

from adg_pipeline.resources.generators.journal import read_journal
from adg_pipeline_tests.deploy.local_ray import daemon_on, local_ray, step_of, wait_for
from adg_pipeline_tests.test_daemon import pool_of_subset
from adg_pipeline_tests.workbench import Workbench, records

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("dagster_ray") is None,
    reason="Ray is not installed here: it comes with the extra `ray`, pip install -e '.[dev,ray]'",
)


@pytest.mark.slow
def test_a_dropped_pool_becomes_the_subset_that_adg_run_makes_though_a_worker_is_killed(
    bench: Workbench, finished: Workbench, tmp_path: Path
) -> None:
    bench.settings["sensors"] = {"interval_seconds": 2, "settle_seconds": 1}
    bench.write_settings()
    bench.add("a", records(12))
    bench.add("b", records(12, first=12))
    with local_ray() as ray, daemon_on(ray, tmp_path, bench.environment()) as daemon:
        log = tmp_path / "daemon.log"
        step = wait_for("the step that samples", lambda: step_of("generations"), daemon, log)
        device = step.environ()["CUDA_VISIBLE_DEVICES"]
        journal = bench.store.journal_path("a")
        wait_for("its first answer", lambda: journal.exists() and journal.stat().st_size, daemon, log)
        kill(step)
        kept = len(read_journal(journal))
        wait_for("the subset", lambda: pool_of_subset(bench) == 24, daemon, log)
        wait_for("the end of all runs", lambda: all_ended(bench), daemon, log)
    assert bench.subset() == finished.subset()
    # One of two GPUs, as the step's tag asks.
    assert device in {"0", "1"}
    # Killed, tried again, and what was paid for is not paid for again.
    facts = bench.store.required_provenance("generations", "a").facts
    assert (facts["reused"], facts["asked"]) == (kept, 60 - kept)
    with bench.instance() as instance:
        statuses = [run.status for run in instance.get_runs()]
    assert set(statuses) == {dg.DagsterRunStatus.SUCCESS}


def kill(process: psutil.Process) -> None:
    process.kill()
    psutil.wait_procs([process], timeout=10)


def all_ended(bench: Workbench) -> bool:
    with bench.instance() as instance:
        return all(run.is_finished for run in instance.get_runs())
