"""A pipeline whose processes are killed at random moments ends with the same subset, rows, vectors and weights.

`python -m benchmarks.kills` does the same for longer.
"""

import math
from collections import Counter
from pathlib import Path

import pytest

from adg_pipeline.host.mirror import Bucket
from adg_pipeline_tests.kills.campaign import (
    ENDPOINT_IN_FLIGHT,
    paid_twice,
    prepare,
    prepare_endpoint,
    run_under_kills,
    wait_for_requests,
    watch_under_kills,
)
from adg_pipeline_tests.kills.outcome import assert_same, leftovers, outcome
from adg_pipeline_tests.object_store.hosts import Host, new_bucket
from adg_pipeline_tests.object_store.s3_server import s3_server
from adg_pipeline_tests.resources.generators.faulty_server import serve, slow
from adg_pipeline_tests.workbench import Workbench


@pytest.mark.slow
def test_the_command_called_again_after_each_kill_ends_as_if_nothing_had_been(bench: Workbench, tmp_path: Path) -> None:
    prepare(bench, shards=2)
    kills = run_under_kills(bench, seed=3, kills=3, arguments=("--train",))
    print("\n".join(map(str, kills)))  # noqa: T201
    assert len(kills) >= 2
    undisturbed = Workbench(tmp_path / "undisturbed", bench.capture)
    prepare(undisturbed, shards=2)
    assert undisturbed.adg("run", "--train").code == 0
    assert_same(outcome(bench), outcome(undisturbed))
    assert leftovers(bench) == {}


@pytest.mark.slow
def test_a_store_in_an_object_store_outlives_the_same(
    bench: Workbench, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with s3_server() as server, new_bucket(server) as url:
        host = Host(tmp_path / "host", capfd, url=url)
        prepare(host, shards=2)
        kills = run_under_kills(host, seed=8, kills=4, arguments=("--train",))
        print("\n".join(map(str, kills)))  # noqa: T201
        assert len(kills) >= 3
        prepare(bench, shards=2)
        assert bench.adg("run", "--train").code == 0
        assert_same(outcome(host), outcome(bench))
        assert leftovers(host) == {}
        assert Bucket(url).below("generations/unfinished") == []


@pytest.mark.slow
def test_no_request_is_paid_twice_beyond_those_in_flight(bench: Workbench, tmp_path: Path) -> None:
    with serve() as server:
        server.fault = slow(0.2)
        prepare_endpoint(bench, server.url)
        kills = run_under_kills(bench, seed=5, kills=2, arguments=(), wait=wait_for_requests(server))
        asked = Counter((body["prompt"], body["seed"]) for body in server.bodies)
        server.fault = slow(0.0)
        undisturbed = Workbench(tmp_path / "undisturbed", bench.capture)
        prepare_endpoint(undisturbed, server.url)
        assert undisturbed.adg("run").code == 0
    again = paid_twice(asked)
    print(f"{len(kills)} kills, {len(asked)} requests, {again} paid twice")  # noqa: T201
    assert len(kills) == 2
    assert 0 < again <= ENDPOINT_IN_FLIGHT * len(kills)
    assert_same(outcome(bench), outcome(undisturbed))


@pytest.mark.slow
def test_a_service_that_is_killed_part_by_part_brings_the_pool_up_to_date_by_itself(
    bench: Workbench, tmp_path: Path
) -> None:
    prepare(bench, shards=2)
    kills = watch_under_kills(bench, seed=2, kills=2, seconds=math.inf)
    print("\n".join(map(str, kills)))  # noqa: T201
    assert kills
    undisturbed = Workbench(tmp_path / "undisturbed", bench.capture)
    prepare(undisturbed, shards=2)
    assert undisturbed.adg("run").code == 0
    assert_same(outcome(bench), outcome(undisturbed))
