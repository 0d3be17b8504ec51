"""A run that was killed without a word is ended by the next one who looks, and nothing waits for it."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import dagster as dg
import psutil
import pytest

from adg_pipeline.definitions import build_defs
from adg_pipeline.orchestration.run_health import dead_runs_ended, end_dead_runs
from adg_pipeline.orchestration.runs import IN_FLIGHT, PROCESS_TAG, SLURM_TAG, process_tags
from adg_pipeline.resources.generators.journal import read_journal
from adg_pipeline_tests.workbench import Workbench, records


def start(bench: Workbench, *arguments: str) -> subprocess.Popen[bytes]:
    """`adg` in a process group of its own."""
    command = [sys.executable, "-m", "adg_pipeline.cli", *arguments]
    environment = {**os.environ, **bench.environment()}
    return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)


def wait_for_first_shard(bench: Workbench, process: subprocess.Popen[bytes]) -> None:
    while not bench.store.shards("raw_pool"):
        assert process.poll() is None
        time.sleep(0.1)


@pytest.mark.parametrize("where", ["--in-process", "--multiprocess"])
def test_a_killed_run_is_ended_and_the_same_command_goes_on(bench: Workbench, where: str) -> None:
    bench.add("a", records(14))
    process = start(bench, "run", where)
    wait_for_first_shard(bench, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with bench.instance() as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.STARTED]
    again = bench.adg("run", "--json")
    assert again.code == 0, again.err
    assert "was killed earlier" in again.err
    assert again.json["selected"] == {"adg": 12}
    with bench.instance() as instance:
        statuses = [run.status for run in instance.get_runs()]
        assert statuses.count(dg.DagsterRunStatus.FAILURE) == 1
        assert dg.DagsterRunStatus.STARTED not in statuses


def test_a_run_that_lives_is_left_alone(bench: Workbench) -> None:
    bench.settings["generations"]["max_new_tokens"] = 200
    bench.write_settings()
    bench.add("a", records(40))
    process = start(bench, "run")
    try:
        wait_for_first_shard(bench, process)
        with bench.instance() as instance:
            assert end_dead_runs(instance) == []
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_run_whose_process_died_before_it_started_does_not_wait_for_ever(bench: Workbench) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    job = build_defs(resource_overrides={"store": bench.store}).resolve_job_def("shards")
    with bench.instance() as instance:
        tags = {PROCESS_TAG: f"{socket.gethostname()}:{gone.pid}"}
        dead = instance.create_run_for_job(job, tags=tags)
        living = instance.create_run_for_job(job, tags=process_tags())
        queued = instance.create_run_for_job(job)
        assert [run.run_id for run in end_dead_runs(instance)] == [dead.run_id]
        assert {run.run_id for run in instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT))} == {
            living.run_id,
            queued.run_id,
        }


def test_a_run_of_another_host_is_left_to_it_and_to_whoever_can_ask_slurm(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a process says nothing there: here it is that of one that is gone, or lives and is another."""
    job = build_defs(resource_overrides={"store": bench.store}).resolve_job_def("shards")
    # Slurm knows of three jobs: one runs, one ran and waits to go on, one has ended; of a fourth it knows nothing any more.
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\nprintf '11 RUNNING 0\\n12 PENDING 1\\n13 COMPLETED 0\\n15 RUNNING 2\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with bench.instance() as instance:

        def run(**tags: str) -> str:
            return instance.create_run_for_job(job, tags={PROCESS_TAG: "elsewhere:999999999", **tags}).run_id

        unknown, running, again = run(), run(**{SLURM_TAG: "11.0"}), run(**{SLURM_TAG: "15.2"})
        over = [run(**{SLURM_TAG: of}) for of in ("12.0", "13.0", "14.0", "15.1")]
        said: list[str] = []
        with dead_runs_ended(instance, said.append):
            left = {run.run_id for run in instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT))}
        assert left == {unknown, running, again}
        assert {line.split()[1] for line in said if "was killed earlier" in line} == set(over)
        assert [line.split()[1] for line in said if "is in flight on elsewhere" in line] == [unknown]


def test_on_an_instance_that_hosts_share_only_the_code_server_knows_of_the_workers_beside_it(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    job = build_defs(resource_overrides={"store": bench.store}).resolve_job_def("shards")
    with bench.instance() as instance:
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        event = dg.DagsterEvent("PIPELINE_START", run.job_name, pid=gone.pid)
        instance.report_dagster_event(event, run.run_id)
        monkeypatch.setattr("adg_pipeline.orchestration.run_health.is_shared", lambda _: True)
        assert end_dead_runs(instance) == []
        assert [ended.run_id for ended in end_dead_runs(instance, beside_workers=True)] == [run.run_id]


def test_what_a_run_holds_is_free_once_it_has_ended_however_its_steps_did(bench: Workbench) -> None:
    """A step that is told to end before its first event tells nothing more, and its slot would be taken for ever."""
    job = build_defs(resource_overrides={"store": bench.store}).resolve_job_def("shards")
    with bench.instance() as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("gpu", 2)
        ended, living = (instance.create_run_for_job(job) for _ in range(2))
        for run in (ended, living):
            assert storage.claim_concurrency_slot("gpu", run.run_id, "generations").is_claimed
        instance.report_run_failed(ended)
        assert len(storage.get_concurrency_info("gpu").claimed_slots) == 2
        assert end_dead_runs(instance) == []
        assert {slot.run_id for slot in storage.get_concurrency_info("gpu").claimed_slots} == {living.run_id}


@pytest.mark.parametrize("where", ["--in-process", "--multiprocess"])
def test_told_that_its_time_is_nearly_over_a_run_finishes_what_is_under_way_and_goes_on_later(
    bench: Workbench, where: str
) -> None:
    bench.settings["generations"] |= {"max_new_tokens": 100, "batch_size": 4}
    bench.write_settings()
    bench.add("a", records(60))  # enough to be still at work when the signal arrives
    process = start(bench, "run", where)
    journal = bench.store.journal_path("a")
    while not (journal.exists() and journal.stat().st_size):  # until it has an answer
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    assert process.wait() == 128 + signal.SIGUSR1
    kept = len(read_journal(journal))
    # Whole batches: four instructions with five answers each, in one thread or two.
    assert 0 < kept < 60 * 5
    assert kept % 5 == 0
    with bench.instance() as instance:
        assert not instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT))
    again = bench.adg("run")
    assert again.code == 0, again.err
    counts = bench.store.required_provenance("generations", "a").facts
    assert (counts["reused"], counts["asked"]) == (kept, 300 - kept)


@pytest.mark.parametrize(("where", "number"), [("--in-process", signal.SIGINT), ("--multiprocess", signal.SIGTERM)])
def test_a_signal_ends_a_run_with_one_line_and_leaves_nothing_behind(
    bench: Workbench, where: str, number: signal.Signals
) -> None:
    bench.settings["generations"]["max_new_tokens"] = 200
    bench.write_settings()
    bench.add("a", records(40))
    said = bench.folder / "stderr"
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "adg_pipeline.cli", "run", where],
            env={**os.environ, **bench.environment()}, start_new_session=True, stderr=stderr,
        )  # fmt: skip
        while not bench.store.journal_path("a").exists():  # until it samples
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, number)  # as a terminal does: to every process of the group
        assert process.wait() == 128 + number
    lines = [line for line in said.read_text().splitlines() if not line.startswith("what the libraries said: ")]
    assert lines[-1] == "stopped; what was finished is kept, the same command goes on from there"
    assert not [line for line in lines if line.startswith(("error", "Traceback", "KeyboardInterrupt", "  File"))]
    with bench.instance() as instance:
        assert not instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT))
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []
    while _living(process.pid):  # what the worker told to end; a test that hangs is ended by pytest
        time.sleep(0.2)


def _living(session: int) -> list[str]:
    """Processes of a session, but for those that only wait to be reaped."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found
