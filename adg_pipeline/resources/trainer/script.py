"""The training process: ``python -m adg_pipeline.resources.trainer.script``, started by `launch.train`.

Its job comes through Dagster Pipes, and so do its log and its errors go back. For several processes it becomes
``accelerate launch`` of itself; then the first of them speaks for all.
"""

import os
import shutil
import sys
from collections.abc import Callable

from dagster_pipes import PipesDefaultContextLoader, PipesEnvVarParamsLoader, open_dagster_pipes

from adg_pipeline.errors import PipelineError
from adg_pipeline.resources.file_lock import FileLock
from adg_pipeline.resources.trainer.job import TrainingJob
from adg_pipeline.resources.trainer.parent import die_with_parent
from adg_pipeline.resources.trainer.publish import delete_other_work, publish, repair

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
        except Exception as error:
            # These are in the job itself (its model, its subset, its settings): they would come again.
            permanent = isinstance(error, PipelineError | ValueError)
            pipes.report_custom_message({"error": f"{type(error).__name__}: {error}", "permanent": permanent})
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


def _lead(job: TrainingJob, say: Callable[[str], None]) -> None:
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
        say("loading the training libraries and the backbone")
        from adg_pipeline.resources.trainer.finish import finish
        from adg_pipeline.resources.trainer.fit import fit, load_examples

        examples = load_examples(job)
        left_out = "".join(f", {len(ids)} left out: {reason}" for reason, ids in examples.left_out.items())
        say(f"{len(examples.input_ids)} examples{left_out}")
        checkpoint, resumed_from = fit(job, examples, say)
        publish(finish(job, checkpoint, examples, resumed_from), job.published)
        shutil.rmtree(job.work)
        say(f"published {job.published}")


def _follow(job: TrainingJob) -> None:
    """Any other process of a distributed training."""
    from adg_pipeline.resources.trainer.fit import fit, load_examples

    fit(job, load_examples(job), lambda text: None)


if __name__ == "__main__":
    main()
