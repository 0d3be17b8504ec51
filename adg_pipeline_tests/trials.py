"""Trials as if the backbone had been tuned and asked: the files of a checkpoint and of its results, without a model."""

import json
import random
from pathlib import Path

import polars as pl

from adg_pipeline.assets.draws import subset_for
from adg_pipeline.lineage.trials import evaluation_job, training_job, untuned_job
from adg_pipeline.orchestration.runner import Runner, RunReport
from adg_pipeline.resources.evaluator import EvaluationJob
from adg_pipeline.resources.evaluator.summary import SAMPLES_SCHEMA, summarise
from adg_pipeline.resources.trainer import TrainingManifest
from adg_pipeline.store.checkpoints import read_training_manifest

QUESTIONS = 12


class Rehearsal(Runner):
    """A runner that writes what a training and an evaluation leave, and keeps their order in `done`."""

    done: list[tuple[str, str, int]]

    def train(self, report: RunReport, seed: int | None = None) -> None:
        assert seed is not None
        self.done.append(("train", self.arm, seed))
        config = self.settings.finetuned_checkpoint.model_copy(update={"seed": seed})
        subset, selection = subset_for(self.store, self.arm, seed)
        job = training_job(
            subset, selection, config, self.settings.generations, self.store.checkpoint_dir(self.arm, seed)
        )
        folder = Path(job.output)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"arm": self.arm, "seed": seed}))
        (folder / "model.safetensors").write_bytes(f"{self.arm} {seed} {config.learning_rate}".encode())
        made = TrainingManifest(
            job=job, job_fingerprint=job.fingerprint, seed=seed, steps=2, epochs=1.0, final_loss=0.1, examples=12,
            left_out={}, tokens=500, seconds=3.0, resumed_from=0, trained_parameters=1, versions={"torch": "2"},
            finished_at="2026-11-26",
        )  # fmt: skip
        (folder / "training_manifest.json").write_text(made.model_dump_json())

    def evaluate(self, report: RunReport, seed: int | None = None) -> None:
        assert seed is not None
        self.done.append(("evaluate", self.arm, seed))
        config = self.settings.benchmark_results
        trained = read_training_manifest(self.store.checkpoint_dir(self.arm, seed)) or {}
        write_results(evaluation_job(self.store, self.arm, seed, config, trained["job_fingerprint"]), self.arm, seed)

    def evaluate_untuned(self, report: RunReport) -> None:
        self.done.append(("evaluate", "untuned", 0))
        write_results(untuned_job(self.store, self.settings), "untuned", 0)


def write_results(job: EvaluationJob, arm: str, seed: int) -> None:
    """Results in which `adg` is right more often than the others."""
    draw = random.Random(f"{arm}-{seed}")
    rows = [
        (
            task.task, task.task, doc, f"d{doc}", f"p{doc}", f"t{doc}", task.filter, task.metric,
            float(draw.random() < (0.9 if arm == "adg" else 0.3)), "right", "said",
        )
        for task in job.suite.tasks
        for doc in range(QUESTIONS)
    ]  # fmt: skip
    samples = pl.DataFrame(rows, schema=SAMPLES_SCHEMA, orient="row")
    folder = job.published
    folder.mkdir(parents=True, exist_ok=True)
    samples.write_parquet(folder / "samples.parquet")
    sizes = {task.task: QUESTIONS for task in job.suite.tasks}
    summarise(samples, job.suite, sizes).write_parquet(folder / "summary.parquet")
    record = {
        "recipe": job.recipe, "model": job.model.fingerprint, "suite": json.loads(job.suite.model_dump_json()),
        "limit": job.config.limit, "device": "cpu", "max_length": 128, "seconds": 4.0, "provenance": job.provenance,
        "finished_at": "2026-11-26",
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(record))
