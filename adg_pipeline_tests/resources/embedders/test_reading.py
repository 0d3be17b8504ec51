"""What an embedder can't read is counted, and past a bound it stops the shard with what to do."""

import json
from pathlib import Path

import pytest

from adg_pipeline.errors import ShardFault
from adg_pipeline.resources.embedders import HiddenStateEmbedder, SentenceTransformerEmbedder
from adg_pipeline.resources.embedders.shard import ShardReading


def unknown(embedder: SentenceTransformerEmbedder, *texts: str) -> list[int]:
    return embedder._read(list(texts), list(range(len(texts))))[0].unknown.tolist()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("An apple, 12 pears and a café.", 0),
        ("สวัสดีครับ", 10),
        ("I like it 🎉🎉", 2),
        ("你好", 2),
        ("\u200d\u200b\ufe0f \n\t", 0),
        ("🎉\ufe0f\u200d", 1),
        ("x" * 200, 200),
    ],
)
def test_characters_without_a_token_count_if_they_can_be_seen(
    embedder: SentenceTransformerEmbedder, text: str, count: int
) -> None:
    (found,) = unknown(embedder, text)
    assert found == count


def test_a_vocabulary_of_bytes_knows_everything() -> None:
    with HiddenStateEmbedder("embedded", device="cpu") as backbone:
        backbone.embed_answers(["Say"], [["สวัสดีครับ", "你好 🎉", "yes"]])
    assert not backbone.reading.unknown.any()
    assert backbone.reading.characters.tolist() == [[10, 3, 3]]


@pytest.mark.parametrize(("name", "stops"), [("alpaca_zh_demo.json", True), ("alpaca_en_demo.json", False)])
def test_a_pool_in_another_script_stops_with_what_to_do(
    shared: Path, embedder: SentenceTransformerEmbedder, name: str, stops: bool
) -> None:
    records = json.loads((shared / "data" / "pools" / name).read_text("utf-8"))[:300]
    texts = [record["output"] for record in records]
    read = ShardReading(len(texts))
    read.add([str(row) for row in range(len(texts))], embedder._read(texts, list(range(len(texts))))[0])
    if not stops:
        read.check(0.01)
        assert read.facts()["unknown_share"] < 0.01
        return
    assert read.facts()["unknown_share"] > 0.4
    with pytest.raises(ShardFault, match=r"embeddings.max_unknown_share = 0.1 .*multilingual"):
        read.check(0.1)
    read.check(1.0)


def test_a_few_unreadable_or_cut_texts_are_a_warning(embedder: SentenceTransformerEmbedder) -> None:
    texts = ["plain words"] * 95 + ["สวัสดีครับ"] * 5
    with SentenceTransformerEmbedder(device="cpu", long_texts="cut") as cut:
        cut.embed_instructions([*texts[:-2], "word " * 300, "word " * 300])
    read = ShardReading(100)
    read.add([str(row) for row in range(100)], cut.reading)
    read.check(0.1)
    assert read.facts() == {
        "texts": 100, "long_texts": 2, "cut_texts": 2, "unknown_share": read.facts()["unknown_share"],
        "unreadable_examples": 3, "unreadable_ids": ["95", "96", "97"],
    }  # fmt: skip
    cut_warning, unread_warning = read.warnings()
    assert "2 of 100 texts (2.0%) were not read in full" in cut_warning
    assert "3 of 100 examples" in unread_warning
