"""Starting an evaluation, and waiting for it: a process of its own, whose end gives the GPU's memory back for certain."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adg_pipeline.errors import PipelineError
from adg_pipeline.host.children import ended_in_time
from adg_pipeline.host.parent import PARENT
from adg_pipeline.host.shared_files import folder_at_hand
from adg_pipeline.progress import for_the_log
from adg_pipeline.resources.evaluator.job import MANIFEST, EvaluationError, EvaluationJob

_COMMAND = [sys.executable, "-m", "adg_pipeline.resources.evaluator.script"]
_LOG_LINES = 3


class EvaluationFailed(PipelineError):
    """The process failed for a reason that may pass; what was answered is kept."""

    may_pass = True


def evaluate(job: EvaluationJob, say: Callable[[str], None], devices: Sequence[str] | None = None) -> Path:
    """Evaluate, publish the results at ``job.output``, and return that folder. ``say`` is told how far it is.

    A job that is published already is not done again. One that was interrupted goes on: tasks that are done are taken as
    they are, and of the one that wasn't every answer that was saved.

    Args:
        devices: GPUs that the process may see, as ``CUDA_VISIBLE_DEVICES`` names them; those of this process if None.

    Raises:
        EvaluationError: it can't be done as it is given.
        EvaluationFailed: it may go better another time.
    """
    if is_published(job):
        say(f"{job.published} is of this very evaluation already")
        return job.published
    work = work_folder(job)
    work.mkdir(parents=True, exist_ok=True)
    log = work / "evaluation.log"
    failure: dict[str, Any] = {}
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8",
            cwd=_data_folder(job), env={**os.environ, **_environment(job, devices)},
        )  # fmt: skip
        with ended_in_time(process):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(job.model_dump_json())
            process.stdin.close()
            for line in process.stdout:
                told = json.loads(line)
                if "error" in told:
                    failure = told
                elif told["for_the_log"]:
                    with for_the_log():
                        say(told["say"])
                else:
                    say(told["say"])
            status = process.wait()
    if status != 0 or not is_published(job):
        raise _failure(job, status, failure, log)
    return job.published


def is_published(job: EvaluationJob) -> bool:
    """Whether the results at the job's output are of this very job."""
    try:
        manifest = json.loads((folder_at_hand(job.published) / MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    asked = json.loads(json.dumps({"recipe": job.recipe, "model": job.model.fingerprint["content"]}))
    return bool({"recipe": manifest["recipe"], "model": manifest["model"]["content"]} == asked)


def work_folder(job: EvaluationJob) -> Path:
    """Where the evaluation works: beside its output; another job with the same output works elsewhere."""
    decides = json.dumps([job.recipe, job.model.fingerprint["content"]], sort_keys=True)
    return job.published.with_name(f".{job.published.name}.work-{hashlib.sha256(decides.encode()).hexdigest()[:16]}")


def _data_folder(job: EvaluationJob) -> Path:
    """The process works where the benchmarks' data lie: ``datasets`` takes a folder of a dataset's name for it."""
    folder = Path(job.data)
    return folder if folder.is_dir() else Path(job.output).parent


def _environment(job: EvaluationJob, devices: Sequence[str] | None) -> dict[str, str]:
    environment = {
        PARENT: str(os.getpid()),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_DATASETS_CACHE": str(_data_folder(job) / ".cache"),
    }
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    if job.config.threads is not None:
        environment["OMP_NUM_THREADS"] = str(job.config.threads)
    if Path(job.model.path).is_dir() and all(task.dataset for task in job.suite.tasks):
        environment["HF_HUB_OFFLINE"] = "1"
    return environment


def _failure(job: EvaluationJob, status: int, told: dict[str, Any], log: Path) -> PipelineError:
    if told.get("permanent"):
        return EvaluationError(f"evaluation failed: {told['error']}")
    if told:
        reason = told["error"]
    elif status < 0:
        reason = f"the process was killed by {signal.Signals(-status).name}"
        if -status == signal.SIGKILL:
            reason += " (the system does that when memory runs out: then lower benchmark_results.batch_size)"
    else:
        lines = log.read_text("utf-8", errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []
        reason = " / ".join(line.strip() for line in lines) or "it said nothing"
    return EvaluationFailed(
        f"evaluation failed with exit code {status}: {reason} (all of it in {log}); run it again: it goes on from there"
    )
