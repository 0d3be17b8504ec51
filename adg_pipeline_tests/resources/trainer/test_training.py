"""Trainings for real: a process of its own, started from an asset, on a tiny backbone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from adg_pipeline import report
from adg_pipeline.resources.trainer import TrainingJob
from adg_pipeline.resources.trainer.checkpoints import newest_complete, step_of
from adg_pipeline_tests.resources.trainer.conftest import Run, example, kill_after, write_subset

RunJob = Callable[[TrainingJob], Run]
Plan = Callable[..., TrainingJob]

MODEL_FILES = {"config.json", "model.safetensors"}
# What stands beside whole models and beside adapters: how to ask and where to stop, and what came of the training.
HOW = {"generation_config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"}
RECORDS = HOW | {"training_manifest.json", "training_log.jsonl"}


@pytest.fixture(scope="module")
def undisturbed(plan: Plan, run_job: RunJob, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingJob, Run]:
    """A full fine-tune that nothing interrupts."""
    job = plan(tmp_path_factory.mktemp("full") / "adg")
    return job, run_job(job)


@pytest.fixture(scope="module")
def adapters(plan: Plan, run_job: RunJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA fine-tune whose adapters stay apart."""
    job = plan(tmp_path_factory.mktemp("lora") / "adg", method="lora", merge=False, max_steps=6)
    outcome = run_job(job)
    assert outcome.success, outcome.failure
    return job.published


def weights(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model.safetensors")


def test_a_full_fine_tune_learns_and_leaves_a_checkpoint_that_loads(undisturbed: tuple[TrainingJob, Run]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    job, outcome = undisturbed
    assert outcome.success, outcome.failure
    assert {path.name for path in job.published.iterdir()} == MODEL_FILES | RECORDS
    assert not job.work.exists()
    model = AutoModelForCausalLM.from_pretrained(job.published)
    assert model.config.use_cache
    assert AutoTokenizer.from_pretrained(job.published).eos_token == "</s>"
    log = outcome.result.log
    assert [record["step"] for record in log] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert log[-1]["loss"] < log[0]["loss"] / 2


def test_the_record_names_job_inputs_versions_and_what_was_left_out(undisturbed: tuple[TrainingJob, Run]) -> None:
    job, outcome = undisturbed
    manifest = outcome.result.manifest
    assert manifest.job == job
    assert manifest.job.provenance == {"selection": "abc"}
    assert manifest.job.base_fingerprint["content"].startswith("sha256:")
    assert (manifest.steps, manifest.epochs, manifest.seed) == (30, 3.0, 42)
    assert manifest.examples == 40
    assert manifest.left_out == {"longer than max_length": ["e100", "e101"]}
    assert manifest.turn_ends == {"</s>": 1}
    assert manifest.final_loss == outcome.result.log[-1]["loss"]
    assert manifest.trained_parameters == sum(tensor.numel() for tensor in weights(job.published).values())
    assert {"torch", "trl"} <= manifest.versions.keys()


def test_the_checkpoints_page_shows_how_much_was_left_out_and_what_ends_a_turn(
    undisturbed: tuple[TrainingJob, Run],
) -> None:
    shown = report.checkpoint(undisturbed[1].result)
    assert shown["left_out"].value == {"longer than max_length": "2 of 42 (4.8%)"}
    assert shown["left_out_share"] == 0.04762  # 2 of 42, as people write it
    assert (shown["prompt_template"], shown["turn_ends"]) == ("alpaca", "</s>")


def test_the_step_log_tells_the_progress_while_it_runs(undisturbed: tuple[TrainingJob, Run]) -> None:
    log = undisturbed[1].log
    assert "40 examples, 2 left out: longer than max_length" in log
    assert "step 12/30 (epoch 1.20): loss " in log
    assert " tokens/s, 0:00:0" in log


def test_a_job_that_is_published_is_not_done_again(undisturbed: tuple[TrainingJob, Run], run_job: RunJob) -> None:
    job, first = undisturbed
    again = run_job(job)
    assert again.success
    assert not again.result.trained
    assert again.result.manifest == first.result.manifest
    assert "is of this very job already" in again.log


def test_a_killed_training_resumes_to_the_very_same_weights(
    undisturbed: tuple[TrainingJob, Run], plan: Plan, run_job: RunJob, tmp_path: Path
) -> None:
    job = plan(tmp_path / "adg")
    watcher = kill_after(job, step=10)
    killed = run_job(job)
    watcher.join(1)
    assert not killed.success
    assert not job.published.exists()
    step = step_of(newest_complete(job.work))
    assert step >= 10
    assert "exit code -9: the process was killed by SIGKILL" in killed.failure
    assert f"run it again: it resumes at step {step}" in killed.failure

    (job.work / "checkpoint-5").mkdir(exist_ok=True)  # last in the order of letters
    (job.work / "checkpoint-99").mkdir()  # half-written
    (job.work / "checkpoint-99" / "optimizer.pt").write_bytes(b"half")
    resumed = run_job(job)
    assert resumed.success, resumed.failure
    assert resumed.result.manifest.resumed_from == step
    assert f"resuming from step {step}" in resumed.log
    expected = weights(undisturbed[0].published)
    assert all(tensor.equal(expected[name]) for name, tensor in weights(job.published).items())
    assert [record["step"] for record in resumed.result.log] == sorted({r["step"] for r in resumed.result.log})


def test_a_changed_job_starts_anew_replaces_the_checkpoint_and_clears_away_old_work(
    undisturbed: tuple[TrainingJob, Run], plan: Plan, run_job: RunJob, tmp_path: Path
) -> None:
    before = plan(tmp_path / "adg")
    before.published.mkdir()
    (before.published / "training_manifest.json").write_text(undisturbed[1].result.manifest.model_dump_json())
    (before.published / "old").touch()
    before.work.mkdir()

    job = plan(tmp_path / "adg", max_steps=2, learning_rate=1e-4, processes=2)
    outcome = run_job(job)
    assert outcome.success, outcome.failure
    assert outcome.result.trained
    assert outcome.result.manifest.resumed_from == 0
    assert {path.name for path in job.published.iterdir()} == MODEL_FILES | RECORDS
    assert sorted(path.name for path in tmp_path.iterdir()) == [".adg.lock", "adg"]


def test_lora_adapters_stay_apart_on_request(adapters: Path, backbone: str) -> None:
    assert {path.name for path in adapters.iterdir()} == RECORDS | {
        "adapter_config.json", "adapter_model.safetensors",
    }  # fmt: skip
    assert json.loads((adapters / "adapter_config.json").read_text())["base_model_name_or_path"] == backbone


def test_merged_lora_is_the_backbone_with_the_adapters_added(
    adapters: Path, plan: Plan, backbone: str, tmp_path: Path
) -> None:
    import torch

    from adg_pipeline.resources.trainer.finish import write_model

    write_model(plan(tmp_path / "adg", method="lora", merge=True), adapters, tmp_path)
    merged, before, lora = (
        weights(tmp_path),
        weights(Path(backbone)),
        load_file(adapters / "adapter_model.safetensors"),
    )
    name = "model.layers.0.self_attn.q_proj"
    low = lora[f"base_model.model.{name}.lora_A.weight"], lora[f"base_model.model.{name}.lora_B.weight"]
    update = 32 / 16 * low[1] @ low[0]
    assert update.abs().max() > 1e-4
    torch.testing.assert_close(merged[f"{name}.weight"], before[f"{name}.weight"] + update)
    assert merged["model.embed_tokens.weight"].equal(before["model.embed_tokens.weight"])


def test_a_job_without_an_example_that_fits_fails_for_good_and_says_why(
    plan: Plan, run_job: RunJob, tmp_path: Path
) -> None:
    long = write_subset(tmp_path / "long.parquet", [example(number, output="long " * 200) for number in range(3)])
    outcome = run_job(plan(tmp_path / "adg", of=long))
    assert not outcome.success
    assert outcome.failure.startswith("training failed: no example to train on in ")
    assert "3 longer than max_length (max_length=400)" in outcome.failure
