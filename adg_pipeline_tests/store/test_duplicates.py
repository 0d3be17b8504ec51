"""Near duplicates over shards: neither their order nor their sizes nor how the pool grew matter."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.assets.fingerprints import fingerprint_table
from adg_pipeline.settings.sections import FingerprintConfig
from adg_pipeline.store.duplicates import DuplicateIndex
from adg_pipeline_tests.algorithms.test_duplicates import variants

TEXTS = [*variants(60, 3), *variants(20, 3), "", "", "unlike all others"]


def table(texts: list[str]) -> pa.Table:
    frame = pl.DataFrame({"example_id": texts, "instruction": texts}).with_columns(
        input=pl.lit(""),
        output=pl.lit(""),
        messages=pl.lit(None, dtype=pl.List(pl.Struct({"content": pl.String, "tool_calls": pl.String}))),
    )
    return fingerprint_table(frame, FingerprintConfig())


def clusters(index: DuplicateIndex, shards: dict[str, list[str]], read: list[str] | None = None) -> set[frozenset[str]]:
    """Sets of texts that are near duplicates."""

    def read_shard(name: str) -> pa.Table:
        if read is not None:
            read.append(name)
        return table(shards[name])

    contents = {name: str(hash(tuple(texts))) for name, texts in shards.items()}
    found = index.components(contents, read_shard)
    of: dict[int, set[str]] = {}
    for name, component in found.items():
        for text, number in zip(shards[name], component.tolist(), strict=True):
            of.setdefault(number, set()).add(text)
    return {frozenset(texts) for texts in of.values()}


def test_the_same_text_is_the_same_and_another_is_not(tmp_path: Path) -> None:
    found = clusters(
        DuplicateIndex(tmp_path / "x", 0.8), {"a": ["one two three four"], "b": ["One, two three four!", "x"]}
    )
    assert found == {frozenset({"one two three four", "One, two three four!"}), frozenset({"x"})}


@settings(deadline=None, max_examples=15)
@given(
    order=st.permutations(range(len(TEXTS))), cuts=st.sets(st.integers(0, len(TEXTS)), max_size=6), growth=st.randoms()
)
def test_order_sharding_and_growth_change_no_cluster(tmp_path_factory, order, cuts, growth) -> None:
    folder = tmp_path_factory.mktemp("index")
    whole = clusters(DuplicateIndex(folder / "whole", 0.8), {"all": TEXTS})
    assert any(len(cluster) > 1 for cluster in whole)
    edges = [0, *sorted(cuts), len(TEXTS)]
    shards = {
        f"s{number}": [TEXTS[place] for place in order[begin:end]]
        for number, (begin, end) in enumerate(pairwise(edges))
    }
    grown, index, so_far = list(shards), DuplicateIndex(folder / "grown", 0.8), dict[str, list[str]]()
    growth.shuffle(grown)
    for name in grown:
        so_far[name] = shards[name]
        found = clusters(index, so_far)
    assert found == whole


def test_a_shard_more_reads_that_shard_and_one_that_changed_starts_anew(tmp_path: Path) -> None:
    index, shards = DuplicateIndex(tmp_path / "x", 0.8), {f"s{n}": TEXTS[10 * n : 10 * n + 10] for n in range(6)}
    clusters(index, shards)
    shards["t"] = TEXTS[60:70]
    read: list[str] = []
    clusters(index, shards, read)
    assert set(read) == {"t"}
    shards["s0"] = [*shards["s0"], "one more"]
    changed = clusters(index, shards, read)
    assert set(read) == set(shards)
    assert changed == clusters(DuplicateIndex(tmp_path / "y", 0.8), shards)


def test_a_memory_that_was_damaged_is_made_again(tmp_path: Path) -> None:
    index, shards = DuplicateIndex(tmp_path / "x", 0.8), {"a": TEXTS[:10], "b": TEXTS[10:20]}
    before = clusters(index, shards)
    next((tmp_path / "x").glob("parents-*.npy")).unlink()
    assert clusters(index, shards) == before
    (tmp_path / "x" / "state.json").write_text("{")
    assert clusters(index, shards) == before


def test_what_is_alike_to_given_texts_is_found(tmp_path: Path) -> None:
    index = DuplicateIndex(tmp_path / "x", 0.8)
    clusters(index, {"a": ["red one two three", "blue five six seven"], "b": ["red ONE two three"]})
    asked = table(["Red one, two three"])
    from adg_pipeline.store.duplicates import keys_of, signatures_of

    rows = index.alike_rows(signatures_of(asked), keys_of(asked))
    assert rows.tolist() == [0, 2]
    assert index.known_shards() == [("a", 2), ("b", 1)]
    assert np.array_equal(index.alike_rows(signatures_of(table(["q"])), keys_of(table(["q"]))), [])
