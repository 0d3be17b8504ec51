"""Many trainings side by side: the backbone tuned on each of many subsets, and asked the held-out questions.

The graph trains in a process per checkpoint, which is what a real training needs and a tiny one waits for: libraries
load longer than it trains. Here a few processes load them once. What is trained, and how, is the product's own.
"""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adg_pipeline.progress import ProgressLog

if TYPE_CHECKING:
    from adg_pipeline.demo.evaluate import SkillAccuracy
    from adg_pipeline.settings.loading import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """One to do. subset: Parquet file with the raw pool's columns. seed: of the training."""

    arm: str
    subset: Path
    seed: int


def tune_all(
    trainings: Sequence[Training], settings: "Settings", work: Path, say: Say
) -> dict[str, list["SkillAccuracy"]]:
    """Accuracies by arm, in the order of the trainings given. `work` is a folder for files that nobody needs later."""
    progress = ProgressLog(say, "tuning", "trainings")
    processes = min(len(trainings), len(os.sched_getaffinity(0)))
    done: dict[Training, SkillAccuracy] = {}
    # Not forked: the threads of libraries that are loaded here don't live on in a fork.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_tune, training, settings, work): training for training in trainings}
        try:
            for future in as_completed(waiting):
                done[waiting[future]] = future.result()
                progress(len(done), len(trainings))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    found: dict[str, list[SkillAccuracy]] = {}
    for training in trainings:
        found.setdefault(training.arm, []).append(done[training])
    return found


def _tune(training: Training, settings: "Settings", work: Path) -> "SkillAccuracy":
    import torch

    from adg_pipeline.demo.evaluate import evaluate, held_out_questions
    from adg_pipeline.models.backbones import resolve_backbone
    from adg_pipeline.resources.trainer import plan_training
    from adg_pipeline.resources.trainer.finish import finish
    from adg_pipeline.resources.trainer.fit import fit
    from adg_pipeline.resources.trainer.script import load_examples

    torch.set_num_threads(1)
    config = settings.finetuned_checkpoint.model_copy(update={"seed": training.seed})
    job = plan_training(
        training.subset,
        resolve_backbone(settings.generations.backbone),
        work / f"{training.arm}-{training.seed}",
        config,
        **config.asked_as(settings.generations),
    )
    job.work.mkdir(parents=True)
    examples = load_examples(job)
    checkpoint, _ = fit(job, examples, lambda text: None)
    accuracy = evaluate(finish(job, checkpoint, examples, 0), held_out_questions(), threads=1)
    shutil.rmtree(job.work)
    return accuracy
