"""Ids that two shards give to different examples are found when the second is read."""

from pathlib import Path

import pyarrow as pa
import pytest

from adg_pipeline.errors import ShardFault
from adg_pipeline.lineage.clashes import NamedExamples
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe, make_provenance


def table(examples: dict[str, str]) -> pa.Table:
    return pa.table({"example_id": list(examples), "content_hash": [text.ljust(32, "0") for text in examples.values()]})


@pytest.fixture
def named(tmp_path: Path) -> NamedExamples:
    store = Store(data_dir=str(tmp_path))
    for shard, examples in {"a": {"q1": "11", "q2": "22"}, "b": {"r1": "33"}}.items():
        recipe = Recipe("raw_pool", "1", {})
        stored = make_provenance(recipe, shard, {}, len(examples), facts={"named_ids": len(examples)})
        store.write_table(table(examples), stored)
    return NamedExamples(store, ["a", "b", "not-read-yet"])


def test_another_example_of_the_same_id_is_named_with_its_shard_and_the_mend(named: NamedExamples) -> None:
    with pytest.raises(ShardFault, match=r"1 of its ids .* shard a \(such as 'q1'\).*raw_pool\.ids to local"):
        named.require_unique("c", table({"q1": "99", "q2": "22", "q3": "33"}))


def test_the_same_example_in_two_shards_and_a_shard_read_anew_are_no_clash(named: NamedExamples) -> None:
    named.require_unique("a", table({"q1": "99"}))
    named.require_unique("c", table({"q1": "99", "r1": "33"}))


def test_a_shard_that_was_read_in_the_same_run_counts(named: NamedExamples) -> None:
    named.require_unique("c", table({"s1": "44"}))
    with pytest.raises(ShardFault, match="shard c"):
        named.require_unique("d", table({"s1": "55"}))


def test_ids_that_are_told_by_content_are_not_looked_at(named: NamedExamples) -> None:
    content = "ab" * 16
    named.require_unique("c", table({content: content, f"q1@{content[:12]}": content}))
