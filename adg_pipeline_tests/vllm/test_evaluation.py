"""The backend vllm of an evaluation: the same marks as the demo's own evaluation, which runs transformers."""

from pathlib import Path

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
