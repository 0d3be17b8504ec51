"""The paper's six benchmarks by the harness, without a network: what an answer key gets for every question, and what a model
gets. A mark that the key doesn't get is a question that no answer can win as it is asked and read.

    python -m benchmarks.evaluation --data FOLDER                           # the answer key, all questions
    python -m benchmarks.evaluation --data FOLDER --model DIR --limit 20    # a model, a quick look

FOLDER is what `adg benchmarks prepare --out FOLDER` filled.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from adg_pipeline.resources.evaluator import EvaluationJob, evaluate, find_model, load_suite, plan_evaluation
from adg_pipeline.resources.evaluator.job import CODE_VARIABLE, Evaluated
from adg_pipeline.settings.sections import EvaluationConfig
from adg_pipeline.store.results import read_results
from benchmarks.result import arguments, machine_facts


def key(data: Path, limit: int | None, tasks: Sequence[str]) -> None:
    """Shares that the answer key gets, and the questions that it doesn't."""
    from adg_pipeline.resources.evaluator.harness import Harness, quiet
    from adg_pipeline_tests.resources.evaluator.originals import AnswerKey

    os.environ.setdefault("HF_DATASETS_CACHE", str(data / ".cache"))
    os.chdir(data)
    quiet()
    suite = load_suite("paper").only(tasks)
    nobody = Evaluated(path="key", fingerprint={"id": "key", "revision": None, "content": "key"})
    job = EvaluationJob(
        model=nobody, suite=suite, config=EvaluationConfig(limit=limit), data=str(data), datasets={}, versions={},
        output="",
    )  # fmt: skip
    harness = Harness(suite, suite.tasks)
    for task in suite.tasks:
        started = time.perf_counter()
        samples = harness.run(task, AnswerKey(), job).samples
        for (filtered, metric), of in samples.group_by("filter", "metric"):
            lost = of.filter(of["value"] < 1 - 1e-6).group_by("subtask").len().sort("len", descending=True)
            print(
                f"{task.task}, {metric}, {filtered}: {of['value'].mean():.4%} of {len(of):,} questions, "
                f"{time.perf_counter() - started:.0f} s; lost: {dict(lost.iter_rows()) or 'none'}",
                flush=True,
            )


def model(name: str, data: Path, limit: int | None, tasks: Sequence[str], max_new_tokens: int | None) -> None:
    """What a model gets, in the evaluation's own process."""
    os.environ[CODE_VARIABLE] = "1"
    config = EvaluationConfig(
        limit=limit, tasks=list(tasks), run_code=True, max_new_tokens=max_new_tokens, batch_size=16
    )
    with tempfile.TemporaryDirectory() as folder:
        job = plan_evaluation(find_model(name), Path(folder) / "results", data, config)
        results = read_results(evaluate(job, print))
        assert results is not None
        for row in results.summary().iter_rows(named=True):
            print(
                f"{row['name']}, {row['metric']}, {row['filter']}: {row['value']:.4f}, {row['questions']} of {row['of']}"
            )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="what `adg benchmarks prepare` filled")
    parser.add_argument("--model", help="directory or hub name; the answer key if not given")
    parser.add_argument("--limit", type=int, help="questions of each task and subtask")
    parser.add_argument("--task", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--max-new-tokens", type=int, help="longest answer; each task's own if not given")
    options = parser.parse_args()
    print(machine_facts())
    if options.model:
        model(options.model, options.data.resolve(), options.limit, options.task, options.max_new_tokens)
    else:
        key(options.data.resolve(), options.limit, options.task)
