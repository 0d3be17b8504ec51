"""What raw_pool tells of a file beside its counts."""

import json
from pathlib import Path

import dagster as dg
import pytest

from adg_pipeline.assets import pool
from adg_pipeline.formats.split import add_to_pool
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline.store import Store


@pytest.mark.parametrize("rows_per_shard", [None, 5])
def test_keys_that_were_not_used_are_in_the_facts_and_on_the_page_also_of_a_file_that_was_split(
    tmp_path: Path, rows_per_shard: int | None
) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({"prompt": "Human: Hi\n\nAssistant:", "completion": "Hello", "annotator": "Ada"}))
    store = Store(data_dir=str(tmp_path / "data"))
    (added,) = add_to_pool(file, store.pool_dir, rows_per_shard)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(pool_shards.name or "", [added.key])
        asset = pool.build(RawPoolConfig(), dg.BackfillPolicy.multi_run(1))
        result = dg.materialize([asset], instance=instance, partition_key=added.key, resources={"store": store})
    facts = store.required_provenance("raw_pool", added.key).facts
    assert facts["keys_not_used"] == {"annotator": 1}
    assert facts["templates_taken_off"] == {"Human and Assistant": 1}
    (shown,) = result.asset_materializations_for_node("raw_pool")
    assert shown.metadata["keys_not_used"].value == {"annotator": 1}
