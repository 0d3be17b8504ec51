"""Which subset a training seed learns from."""

import polars as pl
import pytest

from adg_pipeline.assets.draws import subset_for
from adg_pipeline.errors import PipelineError, StaleInputError
from adg_pipeline.store.selections import content_id
from adg_pipeline_tests.workbench import Workbench, records


def test_an_arm_that_draws_at_random_has_another_subset_for_every_seed_and_others_have_one(bench: Workbench) -> None:
    bench.settings["embeddings"] = {"embedder": "hidden_state"}  # opens in half the time of the other
    bench.write_settings()
    bench.add("a", records(40))
    assert bench.adg("run", "--arm", "adg", "--arm", "random").code == 0
    store = bench.store
    assert {subset_for(store, "adg", seed)[0] for seed in (0, 1, 42)} == {store.selection_dir("adg")}

    drawn = {seed: subset_for(store, "random", seed) for seed in (0, 1, 42)}
    assert drawn[42][0] == store.selection_dir("random")  # that of the settings
    assert len({content_id(manifest) for _, manifest in drawn.values()}) == 3
    for seed, (folder, manifest) in drawn.items():
        assert manifest["config"]["seed"] == seed
        assert pl.read_parquet(folder / "subset.parquet").height == 12
    # Kept, and the same again.
    assert subset_for(store, "random", 1) == drawn[1]

    bench.add("a", records(44))
    assert bench.adg("run").code == 0
    with pytest.raises(StaleInputError, match="adg run --arm random"):
        subset_for(store, "random", 0)
    with pytest.raises(PipelineError, match="no subset of ifd"):
        subset_for(store, "ifd", 0)
