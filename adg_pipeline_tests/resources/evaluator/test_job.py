"""What an evaluation is, and what is refused before a model is loaded."""

from pathlib import Path

import pytest

from adg_pipeline.errors import SettingsError
from adg_pipeline.models.backbones import EMBEDDED, ModelNotFound
from adg_pipeline.resources.evaluator import find_model, plan_evaluation
from adg_pipeline.resources.evaluator.prepare import NoBenchmarks, prepare_from_folder
from adg_pipeline.settings.sections import EvaluationConfig
from adg_pipeline_tests.resources.evaluator.originals import write_originals


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    prepare_from_folder(write_originals(folder / "originals"), folder / "data", lambda text: None)
    return folder / "data"


@pytest.mark.parametrize(
    ("run_code", "allowed", "told"),
    [
        (False, None, r"set benchmark_results\.run_code: true .* and put HF_ALLOW_CODE_EVAL=1"),
        (True, None, "to allow it, put HF_ALLOW_CODE_EVAL=1 into the environment"),
        (False, "1", r"to allow it, set benchmark_results\.run_code: true .*; or evaluate without them"),
        (True, "0", "to allow it, put HF_ALLOW_CODE_EVAL=1"),
    ],
)
def test_programs_are_run_only_with_both_gates_open(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_code: bool, allowed: str | None, told: str
) -> None:
    if allowed is None:
        monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    else:
        monkeypatch.setenv("HF_ALLOW_CODE_EVAL", allowed)
    config = EvaluationConfig(run_code=run_code)
    with pytest.raises(SettingsError, match=f"mbpp, humaneval of suite paper run programs.*{told}"):
        plan_evaluation(find_model(EMBEDDED), tmp_path / "out", data, config)


def test_tasks_without_programs_need_no_gate(data: Path, tmp_path: Path) -> None:
    config = EvaluationConfig(tasks=["gsm8k"])
    job = plan_evaluation(find_model(EMBEDDED), tmp_path / "out", data, config)
    assert list(job.datasets) == ["openai/gsm8k"]


def test_data_and_models_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoBenchmarks, match=r"has no data of SaylorTwift/bbh, openai/gsm8k: `adg benchmarks prepare`"):
        plan_evaluation(find_model(EMBEDDED), tmp_path, tmp_path, EvaluationConfig(tasks=["gsm8k", "bbh"]))
    with pytest.raises(ModelNotFound):
        find_model(str(tmp_path / "nowhere"))


def test_the_recipe_holds_what_moves_figures_and_nothing_else(data: Path, tmp_path: Path) -> None:
    def recipe(**changes: object) -> dict[str, object]:
        config = EvaluationConfig.model_validate({"tasks": ["gsm8k"], **changes})
        return plan_evaluation(find_model(EMBEDDED), tmp_path / "out", data, config).recipe

    plain = recipe()
    assert {"backend", "batch_size", "dtype", "limit", "versions", "datasets", "tasks"} <= plain.keys()
    for change in ({"batch_size": 16}, {"dtype": "float32"}, {"limit": 3}, {"tasks": ["mmlu"]}, {"max_new_tokens": 9}):
        assert recipe(**change) != plain, change
    for change in ({"threads": 1}, {"gpus": 2}, {"device": "cpu"}, {"run_code": True}):
        assert recipe(**change) == plain, change
