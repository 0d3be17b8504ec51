"""Starting a training from an asset, and waiting for it: a process of its own under Dagster Pipes.

The process is this module's child, not a `PipesSubprocessClient`'s, for three things that the client has not: the exit
status, the child's own words about why it failed, and an end to a child that doesn't stop when it is told to.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import (
    AssetExecutionContext,
    Failure,
    PipesTempFileContextInjector,
    PipesTempFileMessageReader,
    open_pipes_session,
)

from adg_pipeline.host.children import ended_in_time
from adg_pipeline.host.parent import PARENT
from adg_pipeline.resources.trainer.checkpoints import newest_complete, step_of
from adg_pipeline.resources.trainer.job import LOG, TrainingJob, TrainingManifest
from adg_pipeline.resources.trainer.publish import published_manifest

_COMMAND = [sys.executable, "-m", "adg_pipeline.resources.trainer.script"]


@dataclass(frozen=True)
class TrainingResult:
    """A published checkpoint.

    Attributes:
        checkpoint: Its folder.
        manifest: Its record.
        log: The logged steps, oldest first: step, epoch, loss, learning_rate, gradient_norm, token_accuracy, tokens,
            seconds.
        trained: False if this very job was published before, so that nothing had to be done.
    """

    checkpoint: Path
    manifest: TrainingManifest
    log: list[dict[str, Any]]
    trained: bool


def train(
    context: AssetExecutionContext,
    job: TrainingJob,
    *,
    devices: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> TrainingResult:
    """Train, publish the checkpoint at ``job.output``, and return it; the log goes to the step's while it runs.

    A job that is published already is not done again. One that was interrupted goes on from its last checkpoint. The
    asset must return a ``MaterializeResult`` (Dagster asks that of whoever opens a Pipes session).

    Args:
        devices: GPUs that the process may see, as ``CUDA_VISIBLE_DEVICES`` names them; those of this process if None.
        environment: Further variables for the process.

    Raises:
        ValueError: there aren't as many devices as processes.
        dagster.Failure: the training failed; its words and the mend are in the description. Retries are allowed where
            they can help.
    """
    manifest = published_manifest(job)
    if manifest is not None:
        context.log.info(f"{job.published} is of this very job already, finished at {manifest.finished_at}")
        return _result(job, manifest, trained=False)
    if devices and len(devices) != job.config.processes:
        raise ValueError(f"{job.config.processes} training processes need as many GPUs, not {len(devices)}")
    status, words = _run(context, job, {**_environment(job, devices), **(environment or {})})
    if status != 0:
        raise _failure(job, status, words)
    manifest = published_manifest(job)
    if manifest is None:
        raise Failure(f"the training process ended well but left no checkpoint of its job at {job.published}")
    return _result(job, manifest, trained=True)


def _run(
    context: AssetExecutionContext, job: TrainingJob, environment: Mapping[str, str]
) -> tuple[int, dict[str, Any] | None]:
    """Exit status of the process, and what it said about its failure, if it could."""
    with open_pipes_session(
        context=context,
        context_injector=PipesTempFileContextInjector(),
        message_reader=PipesTempFileMessageReader(),
        extras={"job": job.model_dump(mode="json")},
    ) as session:
        process = subprocess.Popen(_COMMAND, env={**os.environ, **environment, **session.get_bootstrap_env_vars()})
        with ended_in_time(process):
            status = process.wait()
    # Messages are read to the end when the session closes.
    messages = session.get_custom_messages()
    return status, messages[-1] if messages else None


def _environment(job: TrainingJob, devices: Sequence[str] | None) -> dict[str, str]:
    environment = {PARENT: str(os.getpid()), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    if job.config.threads is not None:
        environment["OMP_NUM_THREADS"] = str(job.config.threads)
    if Path(job.base_model).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    return environment


def _failure(job: TrainingJob, status: int, words: dict[str, Any] | None) -> Failure:
    if words is not None and words["permanent"]:
        return Failure(f"training failed: {words['error']}", allow_retries=False)
    step = step_of(newest_complete(job.work))
    mend = f"run it again: it resumes at step {step}" if step else "run it again: it starts from the beginning"
    if words is not None:
        reason = words["error"]
    elif status < 0:
        reason = f"the process was killed by {signal.Signals(-status).name}"
        if -status == signal.SIGKILL:
            reason += " (the system does that when memory runs out: then lower batch_size or max_length)"
    else:
        reason = "see the step's stderr"
    return Failure(f"training failed with exit code {status}: {reason}; {mend}")


def _result(job: TrainingJob, manifest: TrainingManifest, *, trained: bool) -> TrainingResult:
    lines = (job.published / LOG).read_text(encoding="utf-8").splitlines()
    return TrainingResult(job.published, manifest, [json.loads(line) for line in lines], trained)
