"""reference_losses is computed where references or answers changed, and asks the engine for what isn't known yet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from adg_pipeline.assets.candidates import candidates
from adg_pipeline.errors import SettingsError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.lineage.recipes import reference_losses_recipe, wanted_recipes
from adg_pipeline.lineage.states import selection_inputs, shard_states
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig, SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.kept import SHARED
from adg_pipeline_tests.assets.one_shard import SHARD, Shard, noted
from adg_pipeline_tests.workbench import records

EXAMPLES = 4


@pytest.fixture
def shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shard]:
    monkeypatch.setenv("ADG_CONFIG", str(tmp_path / "adg.yaml"))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("pool_shards", [SHARD])
        yield Shard(tmp_path, instance)


def test_only_what_is_not_known_yet_isnoted_for(shard: Shard) -> None:
    rows = records(EXAMPLES)
    shard.write(rows)
    assert shard.compute() == (
        2 * EXAMPLES,
        2 * EXAMPLES,
    )  # prompted and bare; the answers told theirs as they were drawn
    first = shard.losses
    assert shard.compute() == (0, 0)
    assert "opened" not in noted

    # A table of before answers kept their log-probability, beside which there were no reference losses.
    answers = shard.store.read_table("generations", SHARD)
    made = shard.store.required_provenance("generations", SHARD)
    shard.store.write_table(answers.drop_columns(["output_logprobs"]), made)
    shard.store.table_path("reference_losses", SHARD).unlink()
    assert shard.compute() == (0, (2 + 2) * EXAMPLES)
    assert shard.losses.drop("answer_logprob").equals(first.drop("answer_logprob"))
    assert shard.losses["answer_logprob"].null_count() == 0

    # A reference is edited: its answers stay, its losses don't.
    rows[1]["output"] = "Something else."
    shard.write(rows)
    assert shard.compute() == (0, (2 + 2) * EXAMPLES)
    changed = shard.losses["reference_logprob"] != first["reference_logprob"]
    assert changed.to_list() == [False, True, False, False]


def test_the_step_that_answers_scores_too_while_its_engine_is_open(shard: Shard) -> None:
    shard.write(records(EXAMPLES))
    shard.compute()
    assert noted.count("opened") == 1
    assert shard.losses["reference_logprob"].null_count() == 0

    # Alone each opens its own; and where there is nothing to answer, the one that scores does.
    shard.write(records(EXAMPLES, first=EXAMPLES))
    shard.compute("raw_pool", "generations")
    assert noted.count("opened") == 1
    assert "scored" not in noted
    assert shard.compute() == (0, 2 * EXAMPLES)
    assert noted.count("opened") == 1


def test_another_scorer_is_opened_by_its_own_step(shard: Shard, shared: Path) -> None:
    shard.configure(model=str(shared / "goldens" / "tiny-llama"))
    shard.write(records(EXAMPLES))
    shard.compute()
    assert noted.count("opened") == 2


def test_what_goes_wrong_beside_the_answers_is_told_by_the_step_of_the_references(shard: Shard) -> None:
    rows = records(EXAMPLES)
    rows[0]["output"] = "a " * 5_000
    rows[1]["instruction"] = ""
    shard.configure(engine="vllm", max_failed_share=0)
    shard.write(rows)
    assert shard.compute("raw_pool", "generations")
    assert shard.store.shards("generations") == [SHARD]


def test_a_kept_setting_of_the_generations_holds_for_a_run_that_is_given_none(shard: Shard) -> None:
    shard.store.kept.keep(SHARED, ["generations"], {"generations.dtype": {"value": "float32"}})
    shard.write(records(EXAMPLES))
    shard.compute()
    wanted = wanted_recipes(settings_in_force(shard.store).settings, references=True)["reference_losses"]
    assert shard.store.required_provenance("reference_losses", SHARD).recipe == wanted


def test_a_shard_put_aside_for_its_references_is_so_only_for_arms_that_read_them(shard: Shard) -> None:
    shard.write(records(EXAMPLES))
    listing = list_shards(shard.store.pool_dir)
    version = shard.store.file_version(SHARD, listing.shards[SHARD])
    settings = Settings()
    recipe = wanted_recipes(settings, references=True)["reference_losses"].id
    shard.store.quarantine.put("reference_losses", SHARD, "4 of 4 could not be scored", version, recipe)
    for read in (True, False):
        (state,) = shard_states(shard.store, listing, wanted_recipes(settings, references=read)).values()
        assert (state.put_aside is not None) == read
        why = selection_inputs(shard.store, [SHARD], references=read).left_out[SHARD]
        assert ("4 of 4" in why) == read


def test_the_recipe_tells_scorers_apart(shared: Path) -> None:
    small = str(shared / "goldens" / "tiny-llama")

    def made_with(generation: dict[str, Any] | None = None, **values: Any) -> str:
        given = {"endpoint": {"model": "served"}, **(generation or {})}
        return reference_losses_recipe(
            ReferenceLossConfig(**values), GenerationConfig.model_validate(given)
        ).id  # fmt: skip

    plain = made_with()
    assert made_with(batch_size=7, max_failed_share=0.5) == plain
    assert made_with({"samples": 7, "stop": ["\n"]}) == plain  # the answers' affair
    served = {"engine": "endpoint"}
    others = [
        made_with(plain=True),
        made_with(model=small),
        made_with(engine="vllm"),  # tells no entropies
        made_with(served),
        made_with({"template": "chat"}),
        made_with({"dtype": "float32"}),
    ]
    assert len({plain, *others}) == 1 + len(others)
    assert made_with(served, engine="transformers") == plain  # the same model, here
    assert made_with(served, model=small) == made_with(model=small)


@pytest.mark.parametrize(
    ("selector", "column", "mend"),
    [
        ("superfiltering", "plain_logprob", "`reference_losses.plain` to true"),
        ("upd", "confident_surprise", "`reference_losses.engine` to transformers"),
        ("ifd", "bare_logprob", "materialise reference_losses again"),
    ],
)
def test_an_arm_whose_signal_no_example_has_names_the_mend(
    tmp_path: Path, selector: str, column: str, mend: str
) -> None:
    names = ["plain_logprob", "plain_bare_logprob", "confident_surprise", "reference_logprob", "bare_logprob"]
    frame = pl.DataFrame({"example_id": ["x", "y"], "bin": [0, 1], **{name: [-1.0, None] for name in names}})
    config = SelectionConfig(selector=selector, bins="none")
    store = Store(data_dir=str(tmp_path))
    assert candidates(store, frame, config).frame.height == 2
    unknown = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(column))
    with pytest.raises(SettingsError, match=f"{selector} reads {column}, .*{mend}"):
        candidates(store, unknown, config)


def test_likeness_to_queries_needs_the_states_of_the_references(shard: Shard, tmp_path: Path) -> None:
    rows = records(EXAMPLES)
    shard.write(rows)
    queries = tmp_path / "queries.json"
    queries.write_text(json.dumps(rows[:1]))
    config = SelectionConfig(selector="rds_plus", queries=str(queries))
    ids = [row["id"] for row in rows]
    eligible = pl.DataFrame({"example_id": ids, "shard": [SHARD] * EXAMPLES, "bin": [0] * EXAMPLES})

    shard.compute()
    with pytest.raises(SettingsError, match=r"known of no example: set `reference_losses.states` to true"):
        candidates(shard.store, eligible, config, np.ones((1, 3)))
    shard.configure(states=True)
    assert shard.compute() == (0, 0)  # the states alone are added
    asked = shard.losses["state"][0].to_numpy()[None]
    likeness = candidates(shard.store, eligible, config, asked).likeness
    assert likeness is not None
    assert likeness[0, 0] == pytest.approx(1, abs=1e-5)
    assert (likeness[1:] < 1).all()
