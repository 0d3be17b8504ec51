"""The embedding assets say what they read: a shard in another script is put aside, what is cut is counted."""

from adg_pipeline_tests.workbench import Workbench, records

CHINESE = ["保持健康的三个提示。", "描述原子的结构。", "我们如何减少空气污染？", "写一个关于旅行的故事。"]


def test_a_shard_that_the_embedder_cannot_read_is_put_aside_with_the_mend_and_cuts_are_counted(
    bench: Workbench,
) -> None:
    bench.settings["generations"]["samples"] = 2
    del bench.settings["embeddings"]  # the default one knows no Chinese
    bench.settings["selected_subset"]["budget"] = 2
    bench.write_settings()
    bench.add("en", [*records(5), {"instruction": "Count the words. " + "tree " * 300, "output": "Many."}])
    bench.add("zh", [{"instruction": text, "output": text} for text in CHINESE])
    done = bench.adg("run", "--set", "embeddings.long_texts=cut")
    assert done.code == 0, done.err  # the other shard is selected from
    assert "4 of 4 examples have texts that the embedder can't read" in done.err
    assert "paraphrase-multilingual-MiniLM-L12-v2" in done.err
    assert "1 of 6 texts (16.7%) were not read in full" in done.err
    facts = bench.store.required_provenance("instruction_embeddings", "en").facts
    assert (facts["texts"], facts["long_texts"], facts["cut_texts"], facts["unknown_share"]) == (6, 1, 1, 0.0)
    assert bench.store.provenance("instruction_embeddings", "zh") is None
    assert bench.store.required_provenance("divergence_scores", "en").facts["indistinct"] == 0
