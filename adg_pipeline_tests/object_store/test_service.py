"""`adg dev` over a store in an object store: what lies in the bucket is computed, and what goes from it is removed."""

import pytest

from adg_pipeline.host.mirror import Bucket
from adg_pipeline_tests.dagster_dev import dagster_dev
from adg_pipeline_tests.object_store.hosts import Host
from adg_pipeline_tests.test_daemon import pool_of_subset, quiet
from adg_pipeline_tests.workbench import records


@pytest.mark.slow
def test_files_that_are_put_into_the_bucket_or_deleted_there_renew_the_subset_without_a_touch(host: Host) -> None:
    host.settings["sensors"] = {"interval_seconds": 2, "settle_seconds": 1}
    host.write_settings()
    host.add("first", records(14))
    with dagster_dev(host.folder, host.environment()) as dev:
        dev.wait_for("the first subset", lambda: pool_of_subset(host) == 14)
        computed_first = host.stamps("generations")
        host.add("second", records(14, first=14))
        dev.wait_for("the renewed subset", lambda: pool_of_subset(host) == 28)
        assert host.stamps("generations")["first"] == computed_first["first"]

        Bucket(host.url).delete("pool/first.jsonl")
        dev.wait_for("the subset without the removed file", lambda: pool_of_subset(host) == 14)
        dev.wait_for("the removal's end", lambda: quiet(dev, "remove_shards_job"))
        assert host.store.shards("raw_pool") == ["second"]
        dev.wait_for("quiet", lambda: quiet(dev))
        assert {run["status"] for run in dev.runs()} == {"SUCCESS"}
