"""What the trainer's tests share: a small subset, a tiny backbone, and an asset that trains it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster
import pyarrow
import pyarrow.parquet
import pytest

from adg_pipeline.resources.trainer import TrainingJob, TrainingResult, plan_training, train
from adg_pipeline.resources.trainer.checkpoints import newest_complete, step_of
from adg_pipeline.settings.sections import Template, TrainingConfig

MESSAGES = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
RECIPE = {"max_steps": 30, "learning_rate": 3e-3, "batch_size": 2, "gradient_accumulation": 2, "max_length": 400}
PACE = {"threads": 1, "save_steps": 5, "logging_steps": 4}


def write_subset(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A subset file of these rows, with columns that a training doesn't read beside those that it does."""
    columns = {name: [row[name] for row in rows] for name in ("example_id", "instruction", "input", "output")}
    messages = pyarrow.array([row["messages"] for row in rows], MESSAGES)
    ranks = list(range(len(rows)))
    pyarrow.parquet.write_table(pyarrow.table({**columns, "messages": messages, "rank": ranks}), path)
    return path


def example(number: int, output: str | None = None, **more: Any) -> dict[str, Any]:
    """One row of a subset."""
    answer = output or f"{number} comes before {number + 1}."
    row = {"example_id": f"e{number}", "instruction": f"What follows {number}?", "input": "", "output": answer}
    return row | {"messages": None} | more


def conversation(number: int) -> list[dict[str, str]]:
    """Two turns of a user, each answered."""
    return [
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": f"{number}"},
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": f"{number + 1}"},
    ]


@pytest.fixture(scope="session")
def backbone(shared: Path) -> str:
    return str(shared / "goldens" / "tiny-llama")


@pytest.fixture(scope="session")
def subset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty examples that fit, one of them a conversation, and two that don't."""
    rows = [example(number) for number in range(39)]
    rows.append(example(39, output="40", messages=conversation(39)))
    rows += [example(number, output="far too long " * 100) for number in (100, 101)]
    return write_subset(tmp_path_factory.mktemp("subset") / "subset.parquet", rows)


@dataclass
class Run:
    """What a run of the training asset gave."""

    success: bool
    result: TrainingResult | None
    failure: str | None
    log: str


@pytest.fixture(scope="session")
def run_job() -> Iterator[Callable[[TrainingJob], Run]]:
    """Trains a job as an asset of a Dagster instance of its own."""
    with dagster.instance_for_test() as instance:

        def run(job: TrainingJob) -> Run:
            results: list[TrainingResult] = []

            @dagster.asset
            def checkpoint(context: dagster.AssetExecutionContext) -> dagster.MaterializeResult:
                results.append(train(context, job))
                return dagster.MaterializeResult(metadata={"loss": results[0].manifest.final_loss})

            outcome = dagster.materialize([checkpoint], instance=instance, raise_on_error=False)
            failures = [
                event.step_failure_data.user_failure_data.description
                if event.step_failure_data.user_failure_data
                else event.step_failure_data.error.message
                for event in outcome.all_events
                if event.is_step_failure
            ]
            logs = "\n".join(entry.message for entry in instance.all_logs(outcome.run_id))
            return Run(outcome.success, next(iter(results), None), next(iter(failures), None), logs)

        yield run


@pytest.fixture(scope="session")
def plan(subset: Path, backbone: str) -> Callable[..., TrainingJob]:
    """Plans a training of the subset; keyword arguments change the recipe."""

    def make(output: Path, of: Path = subset, template: Template = "alpaca", **changes: Any) -> TrainingJob:
        how = {name: changes.pop(name) for name in ("template_options", "system_text") if name in changes}
        config = TrainingConfig(**(RECIPE | PACE | changes))
        return plan_training(of, backbone, output, config, template=template, provenance={"selection": "abc"}, **how)

    return make


def kill_after(job: TrainingJob, step: int) -> threading.Thread:
    """Watch a training, and kill its process with SIGKILL once it has saved that step."""

    def watch() -> None:
        lock = job.published.with_name(f".{job.published.name}.lock")
        while step_of(newest_complete(job.work)) < step:
            time.sleep(0.005)
        os.kill(int(lock.read_text().split()[1]), signal.SIGKILL)  # process N on HOST

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    return watcher
