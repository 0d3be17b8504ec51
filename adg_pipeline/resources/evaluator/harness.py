"""lm-evaluation-harness, as far as we touch it: its tasks, a model for them, and what one task gives.

Only the evaluation process imports this: the harness brings the model libraries with it.
"""

import importlib.metadata
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import absl.logging
import lm_eval.tasks
import polars as pl
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from adg_pipeline.models.devices import VLLM_ON_CPU
from adg_pipeline.resources.evaluator.job import SHOT_SEED, EvaluationError, EvaluationJob
from adg_pipeline.resources.evaluator.sandbox import CodeEval
from adg_pipeline.resources.evaluator.suite import Suite, SuiteTask
from adg_pipeline.resources.evaluator.summary import SAMPLES_SCHEMA

logger = logging.getLogger(__name__)

# It comes with a metric of the harness, and closes the stream that standard error was when it was imported, if that is
# another by the time that anybody configures logging anew. The process's own it lets be.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

Tasks = dict[str, Any]


@dataclass(frozen=True)
class TaskResult:
    """What a task of the suite gave.

    samples: a row per question, filter and metric, with `SAMPLES_SCHEMA`. questions: asked. of: there are.
    versions: the harness' version of every subtask.
    """

    samples: pl.DataFrame
    questions: int
    of: int
    versions: dict[str, Any]


def open_model(job: EvaluationJob, device: str) -> Any:
    """The harness' model of the job; safetensors only, and no code of a model's repository."""
    config = job.config
    common = {"pretrained": job.model.path, "revision": job.model.revision, "trust_remote_code": False}
    if config.backend == "hf":
        from lm_eval.models.huggingface import HFLM

        return HFLM(
            **{**common, "revision": job.model.revision or "main"}, peft=job.model.adapters, dtype=config.dtype,
            device=device, batch_size=config.batch_size, max_length=config.max_length, parallelize=config.gpus > 1,
            use_safetensors=True,
        )  # fmt: skip
    on_cpu = device == "cpu"
    for name, value in {"VLLM_NO_USAGE_STATS": "1", **(VLLM_ON_CPU if on_cpu else {})}.items():
        os.environ.setdefault(name, value)  # vLLM reads them when it is imported
    with _either_build_of_vllm():
        from lm_eval.models.vllm_causallms import VLLM

    adapters = {"lora_local_path": job.model.adapters} if job.model.adapters else {}
    return VLLM(
        **common, **adapters, dtype="float32" if on_cpu and config.dtype == "auto" else config.dtype,
        tensor_parallel_size=config.gpus, max_model_len=config.max_length, batch_size="auto", seed=SHOT_SEED,
        gpu_memory_utilization=config.gpu_memory_utilization, load_format="safetensors",
        tokenizer_revision=job.model.revision,
        **({"enable_chunked_prefill": False, "enforce_eager": True} if on_cpu else {}),
    )  # fmt: skip


def dtype_of(model: Any) -> str:
    """The type that a model's weights have, which `auto` leaves to the model."""
    loaded = model.model
    return str(loaded.dtype if hasattr(loaded, "dtype") else loaded.llm_engine.model_config.dtype).removeprefix(
        "torch."
    )


class Harness:
    """The tasks of a suite. Make it in the folder with the benchmarks' data: datasets are looked for there first."""

    def __init__(self, suite: Suite, tasks: Sequence[SuiteTask]) -> None:
        """tasks: those of the suite that will be run. Raises EvaluationError for one that can't be."""
        self._manager = _manager(suite)
        for task in tasks:
            if task.task not in self._manager.task_index:
                raise EvaluationError(f"suite {suite.name}: the harness has no task {task.task}")
            if not task.runs_code and self._runs_code(task.task):
                raise EvaluationError(
                    f"suite {suite.name}: {task.task} runs programs that the model writes: give it `runs_code: true`"
                )
        with programs_fenced() if suite.running_code else nullcontext():
            self._tasks = {task.task: self._load(task) for task in tasks}

    def _runs_code(self, name: str) -> bool:
        """Whether a task, or one of a group, says so; nothing of it is imported for that."""
        entry = self._manager.task_index.get(name)
        told = (entry.cfg or {}) if entry else {}
        members = told.get("task")
        listed = members if isinstance(members, list) else []
        inline = [member for member in listed if isinstance(member, dict)]
        names = [member for member in listed if isinstance(member, str)]
        names += [str(member.get("task", member.get("group"))) for member in inline]
        says_so = any(of.get("unsafe_code") for of in (told, *inline))
        return says_so or any(self._runs_code(member) for member in names if member != name)

    def _load(self, task: SuiteTask) -> Tasks:
        """Tasks of the harness that a task of the suite stands for, in the form that `evaluate` takes."""
        loaded: Tasks = self._manager.load([task.task])
        for leaf in loaded["tasks"].values():
            if leaf.get_config("num_fewshot") != 0:  # those who say 0 have their examples in the prompt
                leaf.set_config("num_fewshot", task.shots)
            leaf.set_fewshot_seed(SHOT_SEED)
        return loaded

    def run(self, task: SuiteTask, model: Any, job: EvaluationJob) -> TaskResult:
        """Ask a model all questions of a task, and mark its answers."""
        loaded = self._tasks[task.task]
        if job.config.max_new_tokens is not None:
            for leaf in loaded["tasks"].values():
                if leaf.OUTPUT_TYPE == "generate_until":
                    leaf.set_config("generation_kwargs", {"max_gen_toks": job.config.max_new_tokens}, update=True)
        results: Any = evaluate(
            model, loaded, limit=job.config.limit, bootstrap_iters=0, log_samples=True,
            apply_chat_template=job.config.chat_template, fewshot_as_multiturn=job.config.chat_template,
            confirm_run_unsafe_code=task.runs_code,
        )  # fmt: skip
        rows = [
            row for name, samples in results["samples"].items() for one in samples for row in _rows(task, name, one)
        ]
        sizes = results["n-samples"]
        return TaskResult(
            pl.DataFrame(rows, schema=SAMPLES_SCHEMA, orient="row"),
            sum(size["effective"] for size in sizes.values()),
            sum(size["original"] for size in sizes.values()),
            results["versions"],
        )


def _rows(task: SuiteTask, subtask: str, sample: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """A logged sample as rows, one a metric. What isn't a number (a pair for a corpus' metric) has no place in them."""
    responses = sample["resps"]
    said = responses[0][0]
    response = said if isinstance(said, str) else json.dumps([of[0][0] for of in responses])
    for metric in sample["metrics"]:
        value = sample[metric]
        if isinstance(value, int | float) or hasattr(value, "dtype"):
            yield (
                task.task, subtask, sample["doc_id"], sample["doc_hash"], sample["prompt_hash"], sample["target_hash"],
                sample["filter"], metric, float(value), str(sample["target"]), response,
            )  # fmt: skip


@contextmanager
def programs_fenced() -> Iterator[None]:
    """The metric that runs programs is ours while tasks are loaded: the stock one runs them as they are, and is code that
    has to be fetched from the hub.
    """
    import evaluate as hf_evaluate  # it brings transformers' pipelines: ten seconds that other suites are spared

    stock = hf_evaluate.load

    def load(name: str, *arguments: Any, **options: Any) -> Any:
        return CodeEval() if name == "code_eval" else stock(name, *arguments, **options)

    hf_evaluate.load = load
    try:
        yield
    finally:
        hf_evaluate.load = stock


@contextmanager
def _either_build_of_vllm() -> Iterator[None]:
    """vLLM's CPU build has another name, and the harness asks for the version of `vllm`."""
    stock = importlib.metadata.version

    def version(distribution_name: str) -> str:
        try:
            return stock(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            return stock(f"{distribution_name}-cpu") + "+cpu"  # vLLM itself looks for that ending

    importlib.metadata.version = version
    try:
        yield
    finally:
        importlib.metadata.version = stock


def _manager(suite: Suite) -> TaskManager:
    """An index of the folders that the suite's tasks are likely in: that of all takes ten seconds and more."""
    root = Path(lm_eval.tasks.__file__).parent
    own = [suite.include] if suite.include else []
    likely = [
        folder
        for folder in sorted(root.iterdir())
        if folder.is_dir() and any(task.task.startswith(folder.name) for task in suite.tasks)
    ]
    small = TaskManager(include_defaults=False, include_path=[*likely, *own])
    if all(task.task in small.task_index for task in suite.tasks):
        return small
    return TaskManager(include_path=own)


def quiet() -> None:
    """The libraries' bars and chatter stay out of what is told: progress has lines of our own."""
    import datasets

    datasets.disable_progress_bars()
    os.environ.setdefault("LMEVAL_LOG_LEVEL", "WARNING")
    logging.getLogger("lm_eval").setLevel(logging.WARNING)
