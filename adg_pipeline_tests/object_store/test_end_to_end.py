"""A pool in an object store becomes the same subset as on a disk, whoever computes it and whatever goes wrong meanwhile."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

from adg_pipeline.host.children import environment
from adg_pipeline.host.mirror import Bucket, leases
from adg_pipeline_tests.kills.campaign import paid_twice
from adg_pipeline_tests.object_store.gateway import gateway
from adg_pipeline_tests.object_store.hosts import Host
from adg_pipeline_tests.resources.generators.faulty_server import serve, slow
from adg_pipeline_tests.workbench import Workbench, records

# `adg` whose answers lie on its host alone for no longer than a few take.
_ADG = """
import sys
from adg_pipeline.cli.main import main
from adg_pipeline.resources.generators import journal
journal.AT_RISK_ANSWERS = 8
sys.exit(main(sys.argv[1:]))
"""
SHARDS, ROWS, AT_RISK, IN_FLIGHT = 4, 6, 8, 4


def start(host: Host, *arguments: str) -> "subprocess.Popen[bytes]":
    host.folder.mkdir(exist_ok=True)
    with (host.folder / "adg.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _ADG, *arguments],
            env={**os.environ, **host.environment()},
            start_new_session=True,
            stdout=log,
            stderr=log,
        )


def ask(bench: Workbench, url: str) -> None:
    """Answers come from a server, which counts what it is asked."""
    endpoint = {"url": url, "model": "tiny", "concurrency": IN_FLIGHT}
    bench.settings["generations"] |= {"engine": "endpoint", "backbone": "embedded", "endpoint": endpoint}
    bench.write_settings()


def fill(bench: Workbench) -> None:
    pool = records(SHARDS * ROWS)
    for number in range(SHARDS):
        bench.add(f"part-{number}", pool[number * ROWS : (number + 1) * ROWS])


def stamps(host: Host) -> dict[str, dict[str, str]]:
    return {
        asset: host.stamps(asset) for asset in ("raw_pool", "generations", "answer_embeddings", "divergence_scores")
    }


def test_the_subset_is_that_of_a_disk_and_another_host_goes_on_where_the_first_one_ended(
    host: Host, other_host: Host, bench: Workbench
) -> None:
    for one in (host, bench):
        one.add("a", records(12))
        one.add("b", records(12, first=12))
        ran = one.adg("run", "--train", "--json")
        assert ran.code == 0, ran.err
    assert host.subset() == bench.subset()
    made = stamps(host)

    ran = other_host.adg("run", "--train", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["selected"] == {"adg": 12}
    assert stamps(other_host) == made
    weights = [one.store.whole_checkpoint("adg", 42) / "model.safetensors" for one in (host, other_host, bench)]
    assert len({path.read_bytes() for path in weights}) == 1
    explained = other_host.adg("explain", bench.subset()[0], "--json")
    assert explained.json["learnt_by"][0]["seed"] == 42

    # The pool grows by a file, another one changes, and one goes: each host sees it, and one of them computes it.
    for one in (host, bench):
        one.add("c", records(12, first=24))
        one.add("b", records(12, first=36))
    Bucket(host.url).delete("pool/a.jsonl")
    (bench.pool / "a.jsonl").unlink()
    for one in (other_host, bench):
        ran = one.adg("run", "--json", "--multiprocess" if one is other_host else "--in-process")
        assert ran.code == 0, ran.err
    made = stamps(other_host)
    ran = host.adg("run", "--json")
    assert ran.code == 0, ran.err
    assert stamps(host) == made
    for one in (host, other_host):
        assert one.subset() == bench.subset()
        assert one.store.all_shards() == {"b", "c"}
    listed = host.adg("subset", "list", "--json").json
    assert [row["state"] for row in listed].count("current") == 1
    assert len(listed) == 2
    before = next(row["subset"] for row in listed if row["state"] != "current")
    assert other_host.adg("subset", "restore", before).code == 0
    status: Any = host.adg("status", "--json").json
    assert [row["subset"] for row in status["subsets"]] == [before]


@pytest.mark.slow
def test_two_hosts_at_once_ask_each_request_once(host: Host, other_host: Host, bench: Workbench) -> None:
    with serve() as server:
        server.fault = slow(0.02)
        for one in (host, other_host, bench):
            ask(one, server.url)
        fill(host)
        processes = [start(one, "run") for one in (host, other_host)]
        for one, process in zip((host, other_host), processes, strict=True):
            assert process.wait() == 0, (one.folder / "adg.log").read_text()
        asked = Counter((body["prompt"], body["seed"]) for body in server.bodies)
        fill(bench)
        assert bench.adg("run").code == 0
    assert paid_twice(asked) == 0
    for one in (host, other_host):
        assert one.subset() == bench.subset()


@pytest.mark.slow
def test_when_a_host_is_lost_another_one_pays_again_only_for_what_lay_on_its_disk_alone(
    host: Host, other_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The host that goes on holds its own lock for longer than that, and so has to renew it as often.
    monkeypatch.setattr(leases, "EXPIRES", 5.0)
    monkeypatch.setattr(leases, "RENEWS", 0.5)
    with serve() as server:
        server.fault = slow(0.05)
        for one in (host, other_host):
            ask(one, server.url)
        host.add("a", records(16))
        process = start(host, "run", "--in-process")
        while len(server.bodies) < 50:
            assert process.poll() is None, (host.folder / "adg.log").read_text()
            time.sleep(0.01)
        process.kill()
        process.wait()
        shutil.rmtree(host.folder)
        ran = other_host.adg("run", "--in-process")
        assert ran.code == 0, ran.err
        asked = Counter((body["prompt"], body["seed"]) for body in server.bodies)
    assert len(asked) == 16 * 5
    assert 0 < paid_twice(asked) <= AT_RISK + IN_FLIGHT
    assert Bucket(other_host.url).below("generations/unfinished") == []


def test_a_store_of_which_every_twentieth_request_fails_costs_time_and_nothing_else(
    host: Host, other_host: Host, bench: Workbench, s3: str
) -> None:
    for one in (host, bench):
        one.add("a", records(12))
        one.add("b", records(12, first=12))
    with gateway(s3) as (told, address), environment({"AWS_ENDPOINT_URL": address}):
        told.share = 0.05
        ran = host.adg("run", "--json")
        assert ran.code == 0, ran.err
        assert host.adg("status").code == 0
    assert sum(told.failed.values()) > 5
    assert bench.adg("run").code == 0
    assert other_host.subset() == host.subset() == bench.subset()
    assert "not-to-be-told" not in ran.err


def test_what_is_damaged_is_named_by_its_url_and_deleted_by_the_command_that_is_told(host: Host) -> None:
    host.add("a", records(12))
    assert host.adg("run").code == 0
    subset = host.subset()
    store = Bucket(host.url)
    whole = store.get("divergence_scores/a.parquet")
    assert isinstance(whole, tuple)
    store.put("divergence_scores/a.parquet", whole[0][: len(whole[0]) // 2])
    failed = host.adg("run")
    assert failed.code == 1
    assert f"{host.url}/divergence_scores/a.parquet: damaged" in failed.err
    (row,) = host.adg("status", "--json").json["shards"]
    assert row["mend"] == "`adg store delete divergence_scores/a.parquet && adg run`"
    assert host.adg("store", "delete", "pool/a.jsonl").code == 1
    assert host.adg("store", "delete", "../elsewhere").code == 1
    told = host.adg("store", "delete", "divergence_scores/a.parquet", "selections/adg")
    assert (told.code, told.err.count("deleted s3://")) == (0, 2)
    assert store.below("selections") == []
    assert host.adg("store", "delete", "selections/adg").code == 1
    assert host.adg("run").code == 0
    assert host.subset() == subset


def test_a_folder_that_holds_no_pool_is_told_by_its_url(host: Host) -> None:
    told = host.adg("status")
    assert told.code == 1
    assert f"there is no pool directory {host.url}/pool" in told.err
