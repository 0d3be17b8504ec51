"""The backend vllm of an evaluation: the same marks as the demo's own evaluation, which runs transformers."""

import json
from pathlib import Path

import yaml

from adg_pipeline.demo.evaluate import evaluate as evaluate_demo
from adg_pipeline.demo.evaluate import held_out_questions
from adg_pipeline.models.backbones import EMBEDDED, EMBEDDED_FOLDER
from adg_pipeline.resources.evaluator import evaluate, find_model, plan_evaluation
from adg_pipeline.settings.sections import EvaluationConfig
from adg_pipeline.store.results import read_results


def test_vllm_marks_as_transformers_does(tmp_path: Path) -> None:
    config = EvaluationConfig(
        suite="embedded", tasks=["barely_known_skills"], backend="vllm", dtype="float32", max_length=512, threads=1
    )
    job = plan_evaluation(find_model(EMBEDDED), tmp_path / "results", tmp_path, config)
    results = read_results(evaluate(job, lambda text: None))
    assert results is not None
    by_skill = {
        str(name).rpartition(":")[2]: float(of["value"].mean())  # type: ignore[arg-type]
        for (name,), of in results.samples().group_by("subtask")
    }
    questions = [question for question in held_out_questions() if question.skill in by_skill]
    assert by_skill == evaluate_demo(EMBEDDED_FOLDER, questions, threads=1).by_skill
    assert results.manifest["recipe"]["backend"] == "vllm"
    assert "vllm" in results.manifest["recipe"]["versions"]


def test_vllm_finds_the_same_choices_likelier_as_transformers_does(tmp_path: Path) -> None:
    questions = held_out_questions()[::6]
    rows = [
        {
            # Not in the template: its last line is one token, which the harness would have to split.
            "prompt": f"{question.instruction} {question.input}",
            "choices": [question.output, *(other.output for other in questions[place - 3 : place])],
            "label": 0,
        }
        for place, question in enumerate(questions)
        if place >= 3
    ]
    (tmp_path / "tasks").mkdir()
    data = tmp_path / "choices.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "choices", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{prompt}}", "target_delimiter": " ",
        "doc_to_choice": "{{choices}}", "doc_to_target": "label", "metric_list": [{"metric": "acc"}],
    }  # fmt: skip
    (tmp_path / "tasks" / "choices.yaml").write_text(yaml.safe_dump(task))
    suite = tmp_path / "mine.yaml"
    suite.write_text(yaml.safe_dump({"include": "tasks", "tasks": [{"task": "choices", "metric": "acc"}]}))
    marks = {}
    for backend in ("vllm", "hf"):
        config = EvaluationConfig.model_validate(
            {"suite": str(suite), "backend": backend, "dtype": "float32", "max_length": 512, "threads": 1}
        )
        job = plan_evaluation(find_model(EMBEDDED), tmp_path / backend, tmp_path, config)
        results = read_results(evaluate(job, lambda text: None))
        assert results is not None
        marks[backend] = results.headline_samples().sort("doc_id")["value"].to_list()
    assert len(marks["hf"]) == len(rows)
    assert marks["vllm"] == marks["hf"]
    assert 0 < sum(marks["hf"]) < len(rows)
