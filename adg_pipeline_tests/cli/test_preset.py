"""``--preset`` from a pool to a subset, and what holds afterwards."""

from adg_pipeline_tests.workbench import Workbench, records

TINY = ("--set", "generations.engine=transformers", "--set", "generations.backbone=embedded")


def test_what_a_preset_made_is_renewed_with_it_until_it_is_dropped(bench: Workbench) -> None:
    bench.add("a", records(20))
    made = bench.adg("run", "--preset", "paper-llama3-8b", *TINY)
    assert made.code == 0, made.err
    manifest = bench.store.selection_manifest("adg")
    assert manifest is not None
    assert bench.store.required_provenance("answer_embeddings", "a").recipe.config["pool"] == "sequence"
    # adg.yaml names the budget and the bins' smallest size, so the preset's 10,000 and 1 don't count.
    assert (manifest["counts"]["selected"], manifest["bins"]["recipe"]["examples_per_bin"]) == (12, 10)

    again = bench.adg("run", "--json")
    assert again.json["shards_computed"] == []
    assert "kept from an earlier run: embeddings.pool = sequence" in again.err
    behind = bench.adg("run", "--as-configured", "--json")
    assert behind.json["shards_computed"] == ["a"]


def test_a_preset_that_cant_run_here_says_so_with_its_name(bench: Workbench) -> None:
    bench.add("a", records(3))
    refused = bench.adg("run", "--preset", "paper-llama3-8b")
    assert refused.code == 2
    assert "--preset paper-llama3-8b: generations.engine: vllm" in refused.err
    unknown = bench.adg("run", "--preset", "nosuch")
    assert unknown.code == 2
    assert "known are paper-llama3-8b, paper-qwen2.5-7b, published" in unknown.err
