"""Settings that can't be meant are refused before any run: field, bounds, and where the setting comes from."""

from typing import Any

import pytest

from adg_pipeline.definitions import build_defs
from adg_pipeline.settings.loading import load_settings
from adg_pipeline_tests.workbench import Output, Workbench, records


@pytest.fixture(autouse=True)
def no_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal comes before a model is opened."""

    def refuse(*arguments: Any) -> None:
        raise AssertionError("a generator was opened")

    monkeypatch.setattr("adg_pipeline.resources.factories.open_generator", refuse)


def refused(bench: Workbench, *arguments: str) -> str:
    """What `adg run` says, having refused without a run on the instance."""
    failed: Output = bench.adg("run", *arguments)
    assert failed.code == 2, failed.err
    assert "Traceback" not in failed.err
    with bench.instance() as instance:
        assert instance.get_runs_count() == 0
    return failed.err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("generations.samples=1", "Input should be greater than or equal to 2 (given: 1; allowed: ≥ 2, ≤ 64)"),
        ("selected_subset.budget=-5", "Input should be greater than or equal to 1 (given: -5; allowed: ≥ 1)"),
        ("selected_subset.weight=3", "Input should be less than or equal to 1 (given: 3; allowed: ≥ 0, ≤ 1)"),
        ("selected_subset.bugdet=3", "selected_subset.bugdet: unknown key; known here: budget, budget_tokens"),
        ("selection.budget=3", "selection: unknown key; known here: raw_pool, generations"),
        ("generations.vllm.tensor=2", "generations.vllm.tensor: unknown key; known here: tensor_parallel"),
        ("generations.backbone=/no/such/model", "there is no directory /no/such/model"),
        ("generations.backbone=models/none", "generations.backbone: 'models/none' (revision main) is no directory here"),
        ("embeddings.model=/no/such/embedder", "embeddings.model: there is no directory /no/such/embedder"),
        ("finetuned_checkpoint.accelerate_config=/no/fsdp.yaml", "accelerate_config: there is no file /no/fsdp.yaml"),
    ],
)  # fmt: skip
def test_an_option_is_refused_by_its_own_words(bench: Workbench, override: str, words: str) -> None:
    bench.add("a", records(13))
    error = refused(bench, "--set", override)
    assert f"error: --set {override}: {override.split('=')[0].removesuffix('.budget')}" in error
    assert words in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--train", "--set", "embeddings.embedder=sentence_transformer"],
            "generations.backbone: answers are drawn from their-llama, but the model to be tuned isn't named: set it",
        ),
        ([], "generations.backbone doesn't say which model the endpoint serves"),
    ],
)
def test_packaged_model_never_stands_in_for_the_one_that_is_served(
    bench: Workbench, arguments: list[str], words: str
) -> None:
    bench.add("a", records(13))
    served = ["--set", "generations.engine=endpoint", "--set", "generations.endpoint.model=their-llama"]
    assert words in refused(bench, *served, *arguments)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("generations:\n  samples: 1\n", 2, "generations.samples: Input should be greater than or equal to 2"),
        ("selected_subset:\n  # λ\n  weight: 3\n", 3, "selected_subset.weight: Input should be less than or equal to 1"),
        ("selected_subset: {budget: -5}\n", 1, "selected_subset.budget: Input should be greater than or equal to 1"),
        ("generations:\n  vllm:\n    gpus: 2\n", 3, "generations.vllm.gpus: unknown key; known here: tensor_parallel"),
        ("generations:\n  backbone: /no/such/model\n", 2, "generations.backbone: there is no directory /no/such/model"),
        ("generations:\n\tsamples: 5\n", 2, "can't be read as YAML: found character '\\t' that cannot start"),
        ("sensors: {}\ngenerations: [\n", 3, "can't be read as YAML"),
        ("generations:\n  seed: 1\n  top_k: 5\n  seed: 2\n", 4, "generations.seed is given a second time (first in line 2)"),
        ("sensors: {}\n\nsensors: {}\n", 3, "sensors is given a second time (first in line 1)"),
    ],
)  # fmt: skip
def test_a_fault_of_the_file_is_named_with_its_line(bench: Workbench, text: str, line: int, words: str) -> None:
    bench.add("a", records(13))
    file = bench.folder / "adg.yaml"
    file.write_text(text, encoding="utf-8")
    error = refused(bench)
    assert f"error: {file}, line {line}: {words}" in error
    assert error.count("\n") == 1


def test_tabs_are_told_apart_from_other_faults(bench: Workbench) -> None:
    (bench.folder / "adg.yaml").write_text("generations:\n\tsamples: 5\n", encoding="utf-8")
    assert "indent with spaces, not with tabs" in refused(bench)


def test_every_fault_is_told_with_its_own_place(bench: Workbench) -> None:
    bench.add("a", records(13))
    error = refused(bench, "--set", "generations.samples=1", "--set", "selected_subset.weight=3")
    assert "--set generations.samples=1: generations.samples" in error
    assert "--set selected_subset.weight=3: selected_subset.weight" in error


def test_settings_that_contradict_each_other_are_told_with_all_that_was_given(bench: Workbench) -> None:
    bench.add("a", records(13))
    error = refused(bench, "--set", "selected_subset.min_distinct_answers=9")
    assert f"error: {bench.folder / 'adg.yaml'} with --set selected_subset.min_distinct_answers=9: " in error
    assert "min_distinct_answers is 9" in error


@pytest.mark.parametrize("text", ["- generations\n- sensors\n", "just text\n", "5\n"])
def test_a_file_that_is_not_made_of_sections_is_refused(bench: Workbench, text: str) -> None:
    file = bench.folder / "adg.yaml"
    file.write_text(text, encoding="utf-8")
    assert f"error: {file}: expected sections" in refused(bench)


def test_a_section_whose_settings_are_all_commented_out_is_empty(bench: Workbench) -> None:
    file = bench.folder / "adg.yaml"
    file.write_text("generations:\n  # samples: 7\nselected_subset: {budget: 12}\n", encoding="utf-8")
    assert load_settings(file).generations.samples == 5


def test_a_settings_file_that_is_named_but_missing_is_refused(bench: Workbench) -> None:
    (bench.folder / "adg.yaml").unlink()
    assert f"error: {bench.folder / 'adg.yaml'}: no such settings file" in refused(bench)


@pytest.mark.parametrize("budget", ["0", "-3", "many"])
def test_a_budget_that_is_no_number_of_examples_is_refused_by_its_flag(bench: Workbench, budget: str) -> None:
    assert "Invalid value for '--budget'" in refused(bench, "--budget", budget)


@pytest.mark.parametrize("where", ["flag", "option", "file"])
def test_a_budget_over_the_pool_is_refused_once_the_pool_is_read(bench: Workbench, where: str) -> None:
    """Examples that stand in two shards count once; a rejected record doesn't count."""
    bench.add("a", [*records(12), {"instruction": "no answer", "output": ""}])
    bench.add("b", [*records(1), *records(8, first=12)])
    arguments = {"flag": ["--budget", "21"], "option": ["--set", "selected_subset.budget=21"], "file": []}[where]
    if where == "file":
        bench.settings["selected_subset"]["budget"] = 21
        bench.write_settings()
    failed = bench.adg("run", *arguments)
    assert failed.code == 2, failed.err
    line = (bench.folder / "adg.yaml").read_text().splitlines().index("  budget: 21") + 1 if where == "file" else 0
    origin = {"flag": "--budget 21", "option": "--set selected_subset.budget=21"}.get(
        where, f"{bench.folder / 'adg.yaml'}, line {line}"
    )
    assert f"error: {origin}: selected_subset.budget is 21, but the pool holds 20 usable examples" in failed.err
    assert "ask for 1 to 20, or add files to the pool" in failed.err
    assert "Traceback" not in failed.err
    assert bench.store.shards("raw_pool") == ["a", "b"]
    assert bench.store.shards("generations") == []

    # Said at once where the pool is read already: no run at all.
    with bench.instance() as instance:
        runs = instance.get_runs_count()
    assert bench.adg("run", *arguments).code == 2
    with bench.instance() as instance:
        assert instance.get_runs_count() == runs


def test_a_pool_file_that_is_put_aside_does_not_count_towards_the_budget(bench: Workbench) -> None:
    bench.add("a", records(11))
    (bench.pool / "bad.jsonl").write_text("this is no JSON\n")
    failed = bench.adg("run")
    assert failed.code == 2
    assert "the pool holds 11 usable examples" in failed.err


def test_a_value_out_of_bounds_in_the_launchpad_fails_its_step_once_with_the_bounds(bench: Workbench) -> None:
    """Dagster checks types when it launches a run; bounds are checked by the step, before it opens a model."""
    bench.add("a", records(2))
    with bench.instance() as instance:
        instance.add_dynamic_partitions("pool_shards", ["a"])
        job = build_defs(resource_overrides={"store": bench.store}).resolve_job_def("shards")
        config = {"ops": {"generations": {"config": {"samples": 1, "temperature": 99.0}}}}
        result = job.execute_in_process(config, instance, partition_key="a", raise_on_error=False)
        assert not result.success
        assert not [event for event in result.all_events if event.is_step_up_for_retry]
        failure = next(event for event in result.get_step_failure_events() if event.step_key == "generations")
        told = str(failure.step_failure_data.user_failure_data.description)
    assert "generations.samples: Input should be greater than or equal to 2 (given: 1; allowed: ≥ 2, ≤ 64)" in told
    assert "generations.temperature" in told
