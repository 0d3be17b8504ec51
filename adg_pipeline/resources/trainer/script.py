"""The training process: ``python -m adg_pipeline.resources.trainer.script``, started by `launch.train`.

Its job comes through Dagster Pipes, and so do its log and its errors go back. For several processes it becomes
``accelerate launch`` of itself; then the first of them speaks for all.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from dagster_pipes import PipesDefaultContextLoader, PipesEnvVarParamsLoader, open_dagster_pipes

from adg_pipeline.errors import PipelineError
from adg_pipeline.host.disk import disk_fault
from adg_pipeline.host.file_locks import FileLock
from adg_pipeline.host.parent import die_with_parent
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.trainer.examples import TokenizedExamples, read_subset, tokenize_examples
from adg_pipeline.resources.trainer.job import TrainingError, TrainingJob
from adg_pipeline.resources.trainer.publish import delete_other_work, publish, repair

Say = Callable[[str], None]

_MODULE = "adg_pipeline.resources.trainer.script"


def main() -> None:
    """Do the job, or a process's share of it."""
    die_with_parent()
    with PipesDefaultContextLoader().load_context(PipesEnvVarParamsLoader().load_context_params()) as data:
        job = TrainingJob.model_validate((data["extras"] or {})["job"])
    if job.config.processes > 1 and "LOCAL_RANK" not in os.environ:
        command = accelerate_command(job)
        os.execv(command[0], command)
    if os.environ.get("RANK", "0") != "0":
        _follow(job)
        return
    with open_dagster_pipes() as pipes:
        try:
            _lead(job, pipes.log.info)
        except Exception as raised:
            error = disk_fault(job.published, raised) or raised
            # These are in the job itself (its model, its subset, its settings) or need a hand: they would come again.
            permanent = isinstance(error, PipelineError | ValueError)
            name = "" if isinstance(error, PipelineError) else f"{type(error).__name__}: "
            pipes.report_custom_message({"error": f"{name}{error}", "permanent": permanent})
            if isinstance(error, PipelineError):
                sys.exit(1)  # it says all there is to say: no traceback
            raise


def accelerate_command(job: TrainingJob) -> list[str]:
    """``accelerate launch`` of this module. A configuration file says how weights are spread (FSDP, DeepSpeed)."""
    config = job.config.accelerate_config
    how = ["--config_file", config] if config else ["--multi_gpu", "--mixed_precision", "no", "--dynamo_backend", "no"]
    return [
        sys.executable, "-m", "accelerate.commands.launch", *how,
        "--num_machines", "1", "--num_processes", str(job.config.processes), "--main_process_port", "0",
        "-m", _MODULE,
    ]  # fmt: skip


def _lead(job: TrainingJob, say: Say) -> None:
    """The first process: the whole job, from a clean place to the published checkpoint."""
    job.work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(job.published.with_name(f".{job.published.name}.lock"))
    if not lock.take(wait=False):
        say(f"waiting for {lock.holder()}, which is training {job.published.name} already")
        lock.take()
    with lock:
        repair(job.published)
        for folder in delete_other_work(job):
            say(f"deleted the work of an earlier job: {folder.name}")
        examples = load_examples(job, say)
        left_out = "".join(f", {len(ids)} left out: {reason}" for reason, ids in examples.left_out.items())
        say(f"{examples.count} examples{left_out}")
        # They take some seconds, so a job that can't be done has failed before.
        from adg_pipeline.resources.trainer.finish import finish
        from adg_pipeline.resources.trainer.fit import fit

        checkpoint, resumed_from = fit(job, examples, say)
        publish(finish(job, checkpoint, examples, resumed_from), job.published)
        shutil.rmtree(job.work)
        say(f"published {job.published}")


def _follow(job: TrainingJob) -> None:
    """Any other process of a distributed training."""
    from adg_pipeline.resources.trainer.fit import fit

    fit(job, load_examples(job), lambda text: None)


def load_examples(job: TrainingJob, say: Say = lambda text: None) -> TokenizedExamples:
    """The job's examples, tokenized. ``say`` is told how far that is.

    Raises:
        TrainingError: none is left to train on, or no token ends an answer.
    """
    template = job.prompt_template()
    if not template.turn_ends:
        raise TrainingError(f"the tokenizer of {job.base_model} has no end-of-sequence token, so no answer could end")
    rows = list(read_subset(Path(job.subset)))
    progress = ProgressLog(say, "tokenizing", "examples")
    examples = tokenize_examples(rows, template, job.config.max_length, job.config.assistant_turns, progress)
    if not examples.input_ids:
        reasons = "; ".join(f"{len(ids)} {why}" for why, ids in examples.left_out.items()) or "the subset is empty"
        raise TrainingError(f"no example to train on in {job.subset}: {reasons} (max_length={job.config.max_length})")
    return examples


if __name__ == "__main__":
    main()
