"""Settings: one truth for the UI, the sensors and the command line; a fault names the field, its bounds and the file."""

from pathlib import Path

import pytest

from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.loading import Settings, load_settings
from adg_pipeline.settings.sections import GenerationConfig, SelectionConfig, TrainingConfig


def write(folder: Path, text: str) -> Path:
    path = folder / "adg.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_the_papers_where_no_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADG_CONFIG", raising=False)
    settings = load_settings()
    generation = settings.generations
    assert (generation.samples, generation.temperature, generation.top_p, generation.top_k) == (5, 1.4, 0.9, 50)
    assert (generation.max_new_tokens, settings.selected_subset.weight, settings.selected_subset.budget) == (
        256,
        0.4,
        10_000,
    )


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "selected_subset: {budget: 300, weight: 0.5}\n")
    settings = load_settings(file, ["selected_subset.budget=400", "generations.vllm.tensor_parallel=2"])
    assert settings.selected_subset.budget == 400
    assert settings.selected_subset.weight == 0.5
    assert settings.generations.vllm.tensor_parallel == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("generations: {samples: 1}", ["generations.samples", "greater than or equal to 2", "given: 1"]),
        ("selected_subset: {budget: -5}", ["selected_subset.budget", "greater than or equal to 1", "-5"]),
        ("selected_subset: {weight: 3}", ["selected_subset.weight", "less than or equal to 1", "given: 3"]),
        ("selected_subset: {bugdet: 3}", ["selected_subset.bugdet", "unknown key", "budget"]),
        ("selection: {budget: 3}", ["selection", "unknown key", "selected_subset"]),
        ("selected_subset: {min_distinct_answers: 9}", ["min_distinct_answers is 9", "samples = 5"]),
        (
            "generations: {template: chat, template_options: {tokenize: true}}",
            ["template_options", "tokenize is decided"],
        ),
        ("generations: {template_options: {enable_thinking: false}}", ["template_options", "template: chat"]),
        ("generations: {stop: ['a', '']}", ["generations.stop", "an empty text"]),
        ("- a list", ["expected sections"]),
        ("a: [", ["can't be read as YAML"]),
    ],
)
def test_a_fault_names_file_field_and_bounds(tmp_path: Path, text: str, words: list[str]) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    for word in [str(file), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("budget=3", ["expected section.key=value"]),
        ("selected_subset.budget", ["expected section.key=value"]),
        ("selected_subset.budget=none", ["--set", "selected_subset.budget", "valid integer"]),
    ],
)
def test_a_bad_override_is_named_as_such(tmp_path: Path, override: str, words: list[str]) -> None:
    file = write(tmp_path, "")
    with pytest.raises(SettingsError) as caught:
        load_settings(file, [override])
    for word in words:
        assert word in str(caught.value)


def test_a_settings_file_that_is_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        load_settings(tmp_path / "missing.yaml")


def test_only_what_decides_the_result_is_in_the_recipe() -> None:
    settings = Settings.model_validate({"generations": {"batch_size": 7, "device": "cuda:1", "max_failed_share": 0.5}})
    assert settings.generations.recipe() == Settings().generations.recipe()
    assert SelectionConfig(weight=0.1).recipe() != SelectionConfig().recipe()


def test_a_setting_that_came_later_is_in_the_recipe_once_it_is_used() -> None:
    before = GenerationConfig().recipe()
    assert not {"stop", "system_text", "template_options"} & before.keys()
    used = GenerationConfig(stop=["###"], system_text="fold", template_options={"enable_thinking": False}).recipe()
    assert used == {
        **before, "stop": ["###"], "system_text": "fold", "template_options": {"enable_thinking": False},
    }  # fmt: skip


def test_training_asks_as_the_generations_unless_it_says_otherwise(tmp_path: Path) -> None:
    asked = {"template": "chat", "template_options": {"enable_thinking": False}, "system_text": "fold"}
    generation = GenerationConfig(**asked)
    assert TrainingConfig().asked_as(generation) == asked
    own = {"template": "chat", "template_options": {}, "system_text": "template"}
    assert TrainingConfig(**own).asked_as(generation) == own
    assert TrainingConfig(template="alpaca").asked_as(generation)["template"] == "alpaca"
    with pytest.raises(SettingsError, match=r"set finetuned_checkpoint\.template: chat"):
        load_settings(write(tmp_path, "finetuned_checkpoint: {template_options: {enable_thinking: false}}"))
    with pytest.raises(SettingsError, match="tools is decided by the pipeline"):
        load_settings(write(tmp_path, "finetuned_checkpoint: {template: chat, template_options: {tools: []}}"))


def test_one_stop_needs_no_list(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "generations: {stop: auto}")).generations.stop == ["auto"]


def test_run_config_spells_out_every_section_of_the_assets_asked_for() -> None:
    config = Settings().run_config(["generations", "answer_embeddings"])
    assert set(config["ops"]) == {"generations", "answer_embeddings"}
    assert config["ops"]["answer_embeddings"]["config"]["embedder"] == "sentence_transformer"
