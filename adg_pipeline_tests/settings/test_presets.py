"""Presets: whole settings files, weaker than what the user says, and kept like flags."""

from pathlib import Path

import pytest
import yaml

from adg_pipeline.algorithms.arms import with_budget
from adg_pipeline.errors import SettingsError
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.settings.loading import load_settings
from adg_pipeline.settings.presets import FOLDER, preset_flags, presets
from adg_pipeline.store import Store
from adg_pipeline.store.kept import SHARED

LLAMA = "paper-llama3-8b"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADG_CONFIG", raising=False)
    return Store(data_dir=str(tmp_path / "data"))


@pytest.mark.parametrize("name", presets())
def test_each_is_a_settings_file_by_itself_and_says_what_it_is(name: str, store: Store) -> None:
    file = FOLDER / f"{name}.yaml"
    assert load_settings(file).benchmark_results.suite == "paper"
    assert len(presets()[name]) > 20
    in_force = settings_in_force(store, preset=name).settings
    told = yaml.safe_load(file.read_text("utf-8"))
    for section, values in told.items():
        for key, value in values.items():
            found = getattr(getattr(in_force, section), key)
            assert found == (str(FOLDER / value) if key == "accelerate_config" else value)
            assert key != "accelerate_config" or Path(found).is_file()


def test_the_two_of_the_paper_differ_in_the_backbone_alone() -> None:
    one, other = (set(preset_flags(name, ())) for name in (LLAMA, "paper-qwen2.5-7b"))
    assert {flag.partition("=")[0] for flag in one ^ other} == {"generations.backbone"}


def test_adg_yaml_an_arm_and_a_flag_say_more_than_a_preset(store: Store) -> None:
    Path("adg.yaml").write_text("generations: {samples: 3}\nselected_subset: {quota: released}\n")
    flags = {"semantic_bins.bins=7": "--set semantic_bins.bins=7"}
    settings = settings_in_force(store, "adg_anisotropy", flags, preset=LLAMA).settings
    assert (settings.generations.samples, settings.selected_subset.quota) == (3, "released")
    assert (settings.semantic_bins.bins, settings.selected_subset.weight) == (7, 1.0)
    assert settings.embeddings.pool == "sequence"
    assert settings_in_force(store, with_budget("adg", 30), preset=LLAMA).settings.selected_subset.budget == 30
    origins = settings_in_force(store, preset=LLAMA).origins
    assert origins.of("embeddings.pool") == f"--preset {LLAMA}"
    assert origins.of("generations.samples").endswith("adg.yaml, line 1")


def test_a_preset_says_more_than_what_is_kept(store: Store) -> None:
    store.kept.keep(SHARED, ["embeddings"], {"embeddings.pool": {"value": "answer"}})
    assert settings_in_force(store, preset=LLAMA).settings.embeddings.pool == "sequence"


def test_an_unknown_one_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match=r"there is no preset 'x'; known are paper-llama3-8b, paper-qwen2\.5-7b"):
        preset_flags("x", ())
