"""The harness' own tasks on data that we laid out: an answer key has every mark that a task lets a model have."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import absl.logging
import datasets.config
import pytest

from adg_pipeline.resources.evaluator.harness import Harness
from adg_pipeline.resources.evaluator.job import Evaluated, EvaluationError, EvaluationJob
from adg_pipeline.resources.evaluator.prepare import prepare_from_folder
from adg_pipeline.resources.evaluator.suite import Suite, load_suite
from adg_pipeline.resources.evaluator.summary import summarise
from adg_pipeline.settings.sections import EvaluationConfig
from adg_pipeline_tests.resources.evaluator.originals import AnswerKey, write_originals

# One subtask each of bbh and mmlu: the whole groups take half a minute to open.
SUITE = Suite.model_validate(
    {
        "name": "few",
        "tasks": [
            {"task": "bbh_cot_fewshot_snarks", "shots": 3, "metric": "exact_match", "filter": "get-answer"},
            {"task": "gsm8k", "shots": 8, "metric": "exact_match", "filter": "strict-match"},
            {"task": "mmlu_anatomy", "shots": 2, "metric": "acc"},
            {"task": "truthfulqa_mc2", "metric": "acc"},
            {"task": "mbpp", "shots": 1, "metric": "pass_at_1", "runs_code": True},
            {"task": "humaneval", "metric": "pass@1", "filter": "create_test", "runs_code": True},
        ],
    }
)


def job(suite: Suite, limit: int | None = None) -> EvaluationJob:
    return EvaluationJob(
        model=Evaluated(path="key", fingerprint={"id": "key", "revision": None, "content": "key"}), suite=suite,
        config=EvaluationConfig(limit=limit), data="", datasets={}, versions={}, output="",
    )  # fmt: skip


@pytest.fixture
def laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    prepare_from_folder(write_originals(tmp_path / "originals"), tmp_path / "data", lambda text: None)
    monkeypatch.chdir(tmp_path / "data")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    yield tmp_path


def test_an_answer_key_has_every_mark(laid_out: Path) -> None:
    harness, key = Harness(SUITE, SUITE.tasks), AnswerKey()
    results = {task.task: harness.run(task, key, job(SUITE)) for task in SUITE.tasks}
    samples = [result.samples for result in results.values()]
    summary = summarise(samples[0].vstack(samples[1]), _part(SUITE, 2), dict.fromkeys(results, 3))
    read = {(row["name"], row["filter"]): row["value"] for row in summary.iter_rows(named=True)}
    assert read == {
        ("bbh_cot_fewshot_snarks", "get-answer"): 1.0,
        ("gsm8k", "strict-match"): 1.0,
        ("gsm8k", "flexible-extract"): 1.0,
    }
    assert {name: result.samples["value"].to_list() for name, result in results.items()} == {
        "bbh_cot_fewshot_snarks": [1.0] * 3,
        "gsm8k": [1.0] * 6,
        "mmlu_anatomy": [1.0] * 2,
        "truthfulqa_mc2": [1.0] * 3,
        "mbpp": [1.0] * 2,
        "humaneval": [1.0],
    }
    assert results["gsm8k"].questions == results["gsm8k"].of == 3


def test_wrong_programs_fail_and_a_quick_look_asks_fewer(laid_out: Path) -> None:
    class Wrong(AnswerKey):
        def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
            return ["    return None"] * len(requests)

    suite = SUITE.only(["mbpp", "humaneval"])
    harness = Harness(suite, suite.tasks)
    result = harness.run(suite.tasks[0], Wrong(), job(suite, limit=1))
    assert (result.samples["value"].to_list(), result.questions, result.of) == ([0.0], 1, 2)
    assert harness.run(suite.tasks[1], Wrong(), job(suite)).samples["value"].to_list() == [0.0]


def test_a_suite_of_ones_own_brings_its_tasks(laid_out: Path) -> None:
    folder = laid_out / "mine"
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks" / "ours.yaml").write_text(
        "task: ours\ndataset_path: json\ndataset_kwargs: {data_files: {test: ours.jsonl}}\ntest_split: test\n"
        "output_type: multiple_choice\ndoc_to_text: '{{question}}'\ndoc_to_choice: [' no', ' yes']\ndoc_to_target: answer\n"
    )
    (laid_out / "data" / "ours.jsonl").write_text('{"question": "Is 1 a number?", "answer": 1}\n')
    (folder / "mine.yaml").write_text("include: tasks\ntasks: [{task: ours, metric: acc}]\naverage: null\n")
    suite = load_suite(str(folder / "mine.yaml"))
    result = Harness(suite, suite.tasks).run(suite.tasks[0], AnswerKey(), job(suite))
    assert result.samples.filter(metric="acc")["value"].to_list() == [1.0]


def test_a_suite_that_does_not_say_that_it_runs_programs_is_refused(laid_out: Path) -> None:
    silent = Suite.model_validate({"name": "mine", "tasks": [{"task": "humaneval", "metric": "pass@1"}]})
    with pytest.raises(
        EvaluationError, match="humaneval runs programs that the model writes: give it `runs_code: true`"
    ):
        Harness(silent, silent.tasks)


@pytest.mark.slow  # only then all of the harness' tasks are looked through
def test_an_unknown_task_is_told(laid_out: Path) -> None:
    wrong = Suite.model_validate({"name": "mine", "tasks": [{"task": "gsm8", "metric": "acc"}], "include": laid_out})
    with pytest.raises(EvaluationError, match="suite mine: the harness has no task gsm8"):
        Harness(wrong, wrong.tasks)


@pytest.mark.slow
def test_an_answer_key_has_every_mark_of_the_papers_suite(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_from_folder(shared / "data" / "benchmarks", tmp_path, lambda text: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    paper = load_suite("paper")
    harness = Harness(paper, paper.tasks)
    for task in paper.tasks:
        samples = harness.run(task, AnswerKey(), job(paper, limit=5)).samples
        # A share of probability (mc2) is rounded.
        assert samples["value"].to_list() == pytest.approx([1.0] * len(samples)), task.task


def test_logging_configured_anew_leaves_standard_error_open() -> None:
    """Configuring closes all handlers. One that comes with the harness closed the stream that pytest writes to."""
    handler = absl.logging.get_absl_handler().python_handler
    with contextlib.redirect_stderr(io.StringIO()):
        handler.close()
    assert not handler.stream.closed


def _part(suite: Suite, count: int) -> Suite:
    return suite.model_copy(update={"tasks": suite.tasks[:count], "average": None})
