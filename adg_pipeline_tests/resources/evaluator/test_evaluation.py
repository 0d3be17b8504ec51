"""A whole evaluation in its own process: killed, gone on with, and of the same mind as the demo's own evaluation."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from adg_pipeline.demo.evaluate import evaluate as evaluate_demo
from adg_pipeline.demo.evaluate import held_out_questions
from adg_pipeline.models.backbones import EMBEDDED, EMBEDDED_FOLDER
from adg_pipeline.resources.evaluator import EvaluationFailed, EvaluationJob, evaluate, find_model, plan_evaluation
from adg_pipeline.resources.evaluator.launch import work_folder
from adg_pipeline.settings.sections import EvaluationConfig
from adg_pipeline.store.results import read_results


def kill_after_answers(job: EvaluationJob) -> threading.Thread:
    """Watch an evaluation, and kill its process with SIGKILL once it has kept answers."""

    def watch() -> None:
        lock = job.published.with_name(f".{job.published.name}.lock")
        while not any(path.stat().st_size for path in work_folder(job).glob("*.jsonl")):
            time.sleep(0.005)
        os.kill(int(lock.read_text().split()[1]), signal.SIGKILL)  # process N on HOST

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    return watcher


def test_a_killed_evaluation_goes_on_and_agrees_with_the_demos_own(tmp_path: Path) -> None:
    config = EvaluationConfig(suite="embedded", tasks=["barely_known_skills"], batch_size=64, threads=1)
    job = plan_evaluation(find_model(EMBEDDED), tmp_path / "results", tmp_path / "no-data", config)
    kill_after_answers(job)
    with pytest.raises(EvaluationFailed, match=r"killed by SIGKILL .*run it again: it goes on from there"):
        evaluate(job, lambda text: None)
    told: list[str] = []
    evaluate(job, told.append)
    assert any("goes on after 128 answers" in line for line in told), told

    results = read_results(tmp_path / "results")
    assert results is not None
    by_skill = {
        str(name).rpartition(":")[2]: float(of["value"].mean())  # type: ignore[arg-type]
        for (name,), of in results.samples().group_by("subtask")
    }
    questions = [question for question in held_out_questions() if question.skill in by_skill]
    assert len(questions) == len(results.samples()) == 192
    assert by_skill == evaluate_demo(EMBEDDED_FOLDER, questions, threads=1).by_skill
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".results.work")] == []
    assert json.loads((tmp_path / "results" / "manifest.json").read_text())["recipe"] == json.loads(
        json.dumps(job.recipe)
    )

    assert [results.manifest[name] for name in ("device", "dtype", "max_length")] == ["cpu", "float32", 2048]

    told.clear()
    evaluate(job, told.append)
    assert "of this very evaluation already" in told[0]
