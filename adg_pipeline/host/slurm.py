"""The Slurm job that this process belongs to, and whether another one still has its process.

A job that is put back into the queue keeps its number, so the number alone doesn't name a process: its restarts do.
https://slurm.schedmd.com/squeue.html
"""

import os
import subprocess
from collections.abc import Collection, Mapping

_SECONDS = 30.0  # longest wait for the controller
# States in which a job that has started has its processes (https://slurm.schedmd.com/job_state_codes.html).
_ALIVE = {"RUNNING", "SUSPENDED", "STOPPED", "COMPLETING", "CONFIGURING", "RESIZING", "SIGNALING", "STAGE_OUT"}


def this_job(environment: Mapping[str, str] | None = None) -> str | None:
    """``JOB.RESTARTS`` of the job that this process belongs to; None outside of Slurm."""
    known = os.environ if environment is None else environment
    job = known.get("SLURM_JOB_ID")
    return f"{job}.{known.get('SLURM_RESTART_COUNT') or 0}" if job else None


def jobs_over(jobs: Collection[str]) -> set[str]:
    """Those of the jobs (`this_job`) whose processes are gone, asked of Slurm's controller in one call.

    None of them where it isn't known: without Slurm's commands, or while the controller doesn't answer.
    """
    if not jobs:
        return set()
    numbers = sorted({job.partition(".")[0] for job in jobs})
    command = ["squeue", "--noheader", "--states=all", "--Format=JobID:.20,State:.20,RestartCnt:.20"]
    try:
        answer = subprocess.run(
            [*command, f"--jobs={','.join(numbers)}"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return set()
    # It remembers a job that has ended for some minutes only; asked for none but those, it says that they are invalid.
    if answer.returncode != 0 and "Invalid job id" not in answer.stderr:
        return set()
    rows = [line.split() for line in answer.stdout.splitlines()]
    alive = {f"{number}.{restarts}" for number, state, restarts in rows if state in _ALIVE}
    return set(jobs) - alive
