"""Runs that were killed without a word: nobody else would ever end them.

Dagster's code server notices a run worker that dies beside it. It can't notice one that died with it (a reboot, a killed
`dagster dev`) or one that it didn't start (a killed `adg run`). Such a run would count as in flight for ever, hold its
slots in the concurrency pools, and everything behind it would wait. Its events name the processes that wrote them, so it
can be told: none of them lives.

The number of a process says something on its own host alone. So a run is looked after by

- whoever looks on the host that executes it, where that is known (`adg run` writes it down);
- anybody who can ask Slurm, where a Slurm job executes it;
- the code server, where Dagster's default run launcher started it, beside which its worker then is; and by anybody, where the
  instance's database is a file, which machines don't share;
- its run launcher and Dagster's run monitoring, where another launcher started it (Ray, Kubernetes).
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from adg_pipeline.host.slurm import jobs_over
from adg_pipeline.orchestration.instance import instance_fault, is_shared
from adg_pipeline.orchestration.runs import IN_FLIGHT, PROCESS_TAG, SLURM_TAG

LOOK_SECONDS = 5.0
ELSEWHERE_SECONDS = 60.0  # between two questions to Slurm, whose controller serves a whole cluster
_STARTED = {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING}
# Written by the run's worker, which lives as long as its run, and by its steps' processes; not by the daemon.
_OWN_EVENTS = {dg.DagsterEventType.RUN_START, dg.DagsterEventType.STEP_START}


def end_dead_runs(
    instance: dg.DagsterInstance, *, beside_workers: bool = False, ask_slurm: bool = True
) -> list[dg.DagsterRun]:
    """Mark runs as failed whose processes are all gone, and return them. Slots of runs that have ended are free then.

    beside_workers: whether this is the code server, which starts the workers of Dagster's default run launcher.
    ask_slurm: whether to look after runs of other hosts' Slurm jobs as well.
    """
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT))
    elsewhere = {run.run_id for run in runs if is_elsewhere(run)}
    jobs = {run.tags[SLURM_TAG] for run in runs if run.run_id in elsewhere and SLURM_TAG in run.tags}
    over = jobs_over(jobs) if ask_slurm else set()
    workers_are_here = isinstance(instance.run_launcher, dg.DefaultRunLauncher) and (
        beside_workers or not is_shared(instance)
    )
    ended = []
    for run in runs:
        if run.run_id in elsewhere:
            dead = run.tags.get(SLURM_TAG) in over
        else:
            dead = (PROCESS_TAG in run.tags or workers_are_here) and _is_dead(instance, run)
        if dead:
            instance.report_run_failed(
                run, "All processes of this run are gone: it was killed. What it finished is kept."
            )
            ended.append(run)
    free_slots_of_ended_runs(instance)
    return ended


def is_elsewhere(run: dg.DagsterRun) -> bool:
    """Whether a process of another host executes the run by itself."""
    host, _, _ = run.tags.get(PROCESS_TAG, "").rpartition(":")
    return host not in ("", socket.gethostname())


def free_slots_of_ended_runs(instance: dg.DagsterInstance) -> None:
    """Free what runs hold in the concurrency pools that have ended, or are there no more.

    A step's slot is freed by its last event. A step that was told to end while its process was starting has none.
    """
    storage = instance.event_log_storage
    for key in storage.get_concurrency_keys():
        pool = storage.get_concurrency_info(key)
        for run_id in {slot.run_id for slot in pool.claimed_slots} | {step.run_id for step in pool.pending_steps}:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


@contextmanager
def dead_runs_ended(instance: dg.DagsterInstance, say: Callable[[str], None]) -> Iterator[None]:
    """End dead runs now and every few seconds in the meantime: what runs here may be waiting for their slots."""
    stop = threading.Event()
    asked = -ELSEWHERE_SECONDS

    def look() -> None:
        nonlocal asked
        if ask_slurm := time.monotonic() - asked >= ELSEWHERE_SECONDS:
            asked = time.monotonic()
        for run in end_dead_runs(instance, ask_slurm=ask_slurm):
            say(f"run {run.run_id} of {run.job_name} was killed earlier: marked as failed, its slots are free again")

    def watch() -> None:
        while not stop.wait(LOOK_SECONDS):
            try:
                look()
            except Exception as error:
                # A busy or full database: the run itself meets it too and tells. The next look may fare better.
                if instance_fault(error) is None:
                    raise

    look()
    _tell_of_others(instance, say)
    watcher = threading.Thread(target=watch, name="dead runs", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        look()


def _tell_of_others(instance: dg.DagsterInstance, say: Callable[[str], None]) -> None:
    """Whether these live nobody can tell from here, and what they hold is held."""
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT)):
        if is_elsewhere(run) and SLURM_TAG not in run.tags:
            host = run.tags[PROCESS_TAG].rpartition(":")[0]
            say(
                f"run {run.run_id} of {run.job_name} is in flight on {host}; if that host is gone, end it on Dagster's page: "
                "here nobody can tell"
            )


def _is_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if run.status == dg.DagsterRunStatus.NOT_STARTED and PROCESS_TAG in run.tags:
        record = instance.get_run_record_by_id(run.run_id)
        pid = int(run.tags[PROCESS_TAG].rpartition(":")[2])
        return record is not None and not _lived_at(pid, record.create_timestamp.timestamp())
    if run.status not in _STARTED:
        return False
    entries = [
        record.event_log_entry for record in instance.get_records_for_run(run.run_id, of_type=_OWN_EVENTS).records
    ]
    writers = [(entry.dagster_event.pid, entry.timestamp) for entry in entries if entry.dagster_event is not None]
    return bool(writers) and not any(pid is None or _lived_at(pid, moment) for pid, moment in writers)


def _lived_at(pid: int, moment: float) -> bool:
    """Whether the process lives and did at that moment: a number that was given to another process since doesn't count."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return False
    if fields[0] == "Z":
        return False
    ticks_per_second = 100  # what the kernel shows in /proc, whatever it runs with
    started = time.time() - uptime + int(fields[19]) / ticks_per_second
    return started <= moment + 1
