"""Recipes: what a fix or a new setting makes stale, and what stays current."""

import json
import shutil
from pathlib import Path

from adg_pipeline.lineage.recipes import generations_recipe
from adg_pipeline.settings.sections import EndpointOptions, GenerationConfig


def test_settings_left_at_their_defaults_make_nothing_stale() -> None:
    settings = generations_recipe(GenerationConfig()).config
    assert set(settings) == {
        "engine", "backbone", "revision", "template", "samples", "temperature", "top_p", "top_k", "max_new_tokens",
        "seed", "dtype",
    }  # fmt: skip
    used = generations_recipe(GenerationConfig(stop="auto"))
    assert used.config == {**settings, "stop": ["auto"]}


def test_answers_that_an_earlier_version_may_have_got_wrong_are_stale(shared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared / "goldens" / "tiny-llama", tmp_path / "model"))
    kept = generations_recipe(GenerationConfig(backbone=str(folder))).config
    assert "turns" in generations_recipe(GenerationConfig(backbone=str(folder), template="chat")).config
    served = GenerationConfig(engine="endpoint", endpoint=EndpointOptions(model="someone/model"))
    assert "unfinished_answers" in generations_recipe(served).config
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["post_processor"]["single"].append({"SpecialToken": {"id": "</s>", "type_id": 0}})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert generations_recipe(GenerationConfig(backbone=str(folder))).config.keys() - kept.keys() == {"prompt_end"}
