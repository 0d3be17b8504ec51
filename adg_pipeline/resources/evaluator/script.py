"""The evaluation process: ``python -m adg_pipeline.resources.evaluator.script``, started by `launch.evaluate`.

Its job comes on stdin; what it has to tell goes to stdout, a JSON object a line: ``{"say": …}``, or at last ``{"error":
…}``. What the libraries print goes to stderr.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from adg_pipeline.errors import PipelineError
from adg_pipeline.host.disk import disk_fault
from adg_pipeline.host.file_locks import FileLock
from adg_pipeline.host.files import publish_directory
from adg_pipeline.host.parent import die_with_parent
from adg_pipeline.models.devices import pick_device
from adg_pipeline.progress import ProgressLog, is_for_the_log
from adg_pipeline.resources.evaluator.answers import AnswerJournal, KeptAnswers
from adg_pipeline.resources.evaluator.job import MANIFEST, SAMPLES, SUMMARY, EvaluationJob
from adg_pipeline.resources.evaluator.launch import is_published, work_folder
from adg_pipeline.resources.evaluator.sandbox import Limits, fences
from adg_pipeline.resources.evaluator.suite import SuiteTask
from adg_pipeline.resources.evaluator.summary import summarise

Say = Callable[[str], None]

# Requests between two saves: what a kill loses at most. It decides batches, so it is no setting.
_CHUNK = {"hf": 128, "vllm": 1024}


def main() -> None:
    die_with_parent()
    told = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints would otherwise stand among what we tell

    def say(text: str) -> None:
        told.write(json.dumps({"say": text, "for_the_log": is_for_the_log()}) + "\n")

    job = EvaluationJob.model_validate_json(sys.stdin.read())
    try:
        _evaluate(job, say)
    except Exception as raised:
        error = disk_fault(job.published, raised) or raised
        permanent = isinstance(error, PipelineError | ValueError)
        name = "" if isinstance(error, PipelineError) else f"{type(error).__name__}: "
        told.write(json.dumps({"error": f"{name}{error}", "permanent": permanent}) + "\n")
        if isinstance(error, PipelineError):
            sys.exit(1)
        raise


def _evaluate(job: EvaluationJob, say: Say) -> None:
    """The whole job, from the questions to the published results."""
    work = work_folder(job)
    work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(job.published.with_name(f".{job.published.name}.lock"))
    if not lock.take(wait=False):
        say(f"waiting for {lock.holder()}, which is evaluating {job.published.name} already")
        lock.take()
    with lock:
        if is_published(job):
            return
        for other in work.parent.glob(f".{job.published.name}.work-*"):
            if other != work:
                shutil.rmtree(other)  # of another job with the same output
        record = {"started_at": _now(), "seconds": 0.0, **_read(work / "record.json")}
        run = _Run(job, work, say, record)
        parts = [run.part(task) for task in job.suite.tasks]
        samples = pl.concat([pl.read_parquet(path) for path in parts])
        sizes = {task: of["of"] for task, of in record["tasks"].items()}
        summary = summarise(samples, job.suite, sizes)
        manifest = {**_manifest(job), **record, "finished_at": _now()}

        def fill(folder: Path) -> None:
            samples.write_parquet(folder / SAMPLES, compression="zstd")
            summary.write_parquet(folder / SUMMARY)
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")

        publish_directory(job.published, fill)
        shutil.rmtree(work)
        say(f"published {job.published}")


class _Run:
    """The tasks of a job, one after the other; the model is opened when the first question has no answer yet."""

    def __init__(self, job: EvaluationJob, work: Path, say: Say, record: dict[str, Any]) -> None:
        self._job, self._work, self._say, self._record = job, work, say, record
        self._harness: Any = None
        self._model: Any = None
        record.setdefault("tasks", {})

    def part(self, task: SuiteTask) -> Path:
        """Samples of a task on disk; those of an earlier run are taken as they are."""
        path = self._work / f"{task.task}.parquet"
        if task.task in self._record["tasks"] and path.exists():
            self._say(f"{task.task}: done before")
            return path
        started = time.monotonic()
        harness = self._open()
        journal = AnswerJournal(self._work / f"{task.task}.jsonl")
        if len(journal):
            self._say(f"{task.task}: goes on after {len(journal):,} answers")
        progress = ProgressLog(self._say, task.task, "requests")
        model = KeptAnswers(self._model, journal, _CHUNK[self._job.config.backend], progress)
        result = harness.run(task, model, self._job)
        cut = model.prompts_cut()
        if cut:
            self._say(
                f"warning: {task.task}: {cut:,} of {len(model.prompts):,} prompts don't fit the model with their answers "
                f"({self._record['max_length']:,} tokens): their beginnings were cut off"
            )
        result.samples.write_parquet(path)
        seconds = time.monotonic() - started
        self._record["tasks"][task.task] = {
            "questions": result.questions, "of": result.of, "seconds": round(seconds, 1), "prompts": len(model.prompts),
            "prompts_cut": cut, "versions": result.versions,
        }  # fmt: skip
        self._record["seconds"] = round(self._record["seconds"] + seconds, 1)
        _write(self._work / "record.json", self._record)
        journal.path.unlink(missing_ok=True)
        few = f" of {result.of:,}" if result.questions < result.of else ""
        self._say(f"{task.task}: {result.questions:,}{few} questions in {seconds:.0f} s")
        return path

    def _open(self) -> Any:
        if self._harness is None:
            from adg_pipeline.resources.evaluator.harness import Harness, dtype_of, open_model, quiet

            quiet()
            if self._job.suite.running_code:
                self._record["sandbox"] = {"limits": vars(Limits()), "fences": fences()}
                missing = sorted({"network", "processes", "files"} - fences().keys())
                if missing:
                    self._say(f"warning: this machine's kernel fences no {', '.join(missing)} of programs that are run")
            left = [task for task in self._job.suite.tasks if task.task not in self._record["tasks"]]
            self._harness = Harness(self._job.suite, left)
            device = pick_device(self._job.config.device)
            self._say(f"opening {self._job.model.path} on {device}")
            self._model = open_model(self._job, device)
            self._record["device"] = _device_name(device)
            self._record["max_length"] = self._model.max_length
            self._record["dtype"] = dtype_of(self._model)
        return self._harness


def _manifest(job: EvaluationJob) -> dict[str, Any]:
    return {
        "suite": job.suite.model_dump(mode="json"),
        "limit": job.config.limit,
        "recipe": job.recipe,
        "model": job.model.fingerprint,
        "config": job.config.model_dump(mode="json"),
        "provenance": job.provenance,
    }


def _device_name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name() if device.startswith("cuda") else device


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return record


def _write(path: Path, record: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(record), encoding="utf-8")
    fresh.replace(path)


if __name__ == "__main__":
    main()
