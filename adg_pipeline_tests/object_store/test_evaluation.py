"""Checkpoints in an object store are evaluated by one host, compared by another."""

import pytest

from adg_pipeline.host.mirror import Bucket
from adg_pipeline.store.results import read_results
from adg_pipeline_tests.object_store.hosts import Host
from adg_pipeline_tests.workbench import records

LIMIT = 2


@pytest.mark.slow
def test_results_of_one_host_are_compared_by_another_and_not_made_again(host: Host, other_host: Host) -> None:
    for one in (host, other_host):
        one.settings["benchmark_results"] = {"suite": "embedded", "limit": LIMIT, "threads": 1}
        one.settings["comparison_report"] = {"seeds": 1}
        one.write_settings()
    host.add("a", records(30))
    arms = ("--arm", "adg", "--arm", "random")
    trained = host.adg("run", "--train", *arms)
    assert trained.code == 0, trained.err
    evaluated = host.adg("evaluate", "--arm", "adg", "--json")
    assert evaluated.code == 0, evaluated.err

    compared = other_host.adg("compare", "--seeds", "1", "--json")
    assert compared.code == 0, compared.err
    for arm in ("adg", "random"):
        results = [read_results(one.store.results_dir(arm, 42, "embedded", LIMIT)) for one in (host, other_host)]
        assert results[0] is not None
        assert results[1] is not None
        assert results[0].manifest == results[1].manifest
    assert Bucket(host.url).below("reports")
