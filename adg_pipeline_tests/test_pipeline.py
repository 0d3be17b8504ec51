"""The pipeline end to end, as a user drives it: `adg` on real files, a real backbone, a real embedder."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adg_pipeline.lineage.states import SHARD_ASSETS
from adg_pipeline.orchestration.runner import RunReport
from adg_pipeline_tests.workbench import Workbench, records


def test_a_pool_becomes_a_subset_that_can_be_explained_and_exported(bench: Workbench, tmp_path: Path) -> None:
    del bench.settings["embeddings"]  # the default, which a user meets first
    bench.write_settings()
    bench.add("skills-1", records(20))
    bench.add("skills-2", records(20, first=20))
    done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    assert done.json["shards_computed"] == ["skills-1", "skills-2"]
    assert done.json["selected"] == {"adg": 12}
    assert len(set(bench.subset())) == 12

    manifest = bench.store.selection_manifest("adg")
    assert manifest is not None
    assert manifest["counts"]["pool"] == 40
    assert set(manifest["shards"]) == {"skills-1", "skills-2"}
    assert manifest["recipes"]["generations"]["samples"] == 5

    best = bench.subset()[0]
    explained = bench.adg("explain", best, "--json").json
    assert explained["selection"]["verdict"].startswith("selected, number 1 of the subset")
    assert len(explained["generation"]["answers"]) == 5
    sure = explained["how_sure"]
    assert explained["selection"]["score"] >= sure["score_needed"]
    assert sure["jackknife"].endswith("of the 5 subsets that leave one answer out")
    assert len(sure["typical_of_bin"]) == 3
    assert explained["origin"]["file"] in ("skills-1.jsonl", "skills-2.jsonl")

    out = tmp_path / "export"
    assert bench.adg("export", "--format", "alpaca", "--out", str(out)).code == 0
    exported = [json.loads(line) for path in out.glob("*.jsonl") for line in path.read_text().splitlines()]
    if not exported:
        exported = [row for path in out.glob("*.json") for row in json.loads(path.read_text())]
    assert len(exported) == 12

    # The same command again does nothing.
    with bench.instance() as instance:
        runs_before = instance.get_runs_count()
    again = bench.adg("run", "--json")
    assert again.json["shards_computed"] == []
    with bench.instance() as instance:
        assert instance.get_runs_count() == runs_before


def test_growth_costs_what_grew_and_changes_cost_what_they_concern(ready: Workbench) -> None:
    bench = ready
    before = {asset: bench.stamps(asset) for asset in SHARD_ASSETS}

    bench.add("c", records(12, first=24))
    grown = bench.adg("run", "--json")
    assert grown.json["shards_computed"] == ["c"]
    for asset in SHARD_ASSETS:
        after = bench.stamps(asset)
        assert {shard: after[shard] for shard in ("a", "b")} == before[asset]

    # λ, budget and bins concern the selection alone.
    before = {asset: bench.stamps(asset) for asset in SHARD_ASSETS}
    changed = bench.adg("run", "--json", "--budget", "9", "--set", "selected_subset.weight=0.9")
    assert changed.json == {**changed.json, "shards_computed": [], "selected": {"adg": 9}}
    assert {asset: bench.stamps(asset) for asset in SHARD_ASSETS} == before

    # Two more samples cost two more samples.
    more = bench.adg("run", "--set", "generations.samples=7")
    assert "samples 5 → 7" in more.err
    for shard in ("a", "b", "c"):
        facts = bench.store.required_provenance("generations", shard).facts
        assert (facts["asked"], facts["reused"]) == (24, 60)


def test_a_bad_file_is_put_aside_by_name_and_the_others_go_on(bench: Workbench) -> None:
    bench.add("good", records(20))
    bad = bench.pool / "bad.jsonl"
    bad.write_text("this is no JSON\n")
    done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    assert done.json["shards_computed"] == ["good"]
    assert "bad" in done.json["shards_left_out"]
    assert done.err.splitlines()[-1].startswith("1 shards of the pool take no part: bad; `adg status` shows why")
    manifest = bench.store.selection_manifest("adg")
    assert manifest is not None
    assert "bad.jsonl" in manifest["shards_left_out"]["bad"]
    rows = {row["shard"]: row for row in bench.adg("status", "--json").json["shards"]}
    assert rows["bad"]["state"] == "quarantined"
    assert rows["good"]["state"] == "current"

    bench.add("bad", records(8, first=20))
    mended = bench.adg("run", "--json")
    assert mended.json["shards_computed"] == ["bad"]
    assert mended.json["shards_left_out"] == {}


def test_scores_made_in_two_ways_are_refused_naming_the_shards(ready: Workbench) -> None:
    bench = ready
    bench.add("c", records(4, first=24))
    with bench.instance() as instance:
        runner = bench.runner(instance, "generations.temperature=0.7")
        runner.register(["a", "b", "c"])
        assert runner.compute(["c"])
        report = RunReport()
        runner.select(report)
    assert report.failed == ["selection adg"]
    error = bench.why_failed()
    assert "scores were made in 2 different ways" in error
    assert "such as a" in error
    assert "such as c" in error


def test_an_edited_file_changes_only_its_own_shard_and_reuses_paid_answers(ready: Workbench) -> None:
    bench = ready
    before = bench.stamps("generations")
    bench.add("b", [*records(12, first=12), *records(3, first=24)])
    assert bench.adg("run", "--json").json["shards_computed"] == ["b"]
    assert bench.stamps("generations")["a"] == before["a"]
    facts = bench.store.required_provenance("generations", "b").facts
    assert (facts["asked"], facts["reused"]) == (15, 60)


def test_the_same_example_in_two_shards_counts_once_and_a_clash_of_ids_is_named(ready: Workbench) -> None:
    bench, pool = ready, records(24)
    bench.add("c", [pool[0], *records(5, first=24)])
    assert bench.adg("run", "--budget", "29").code == 0
    assert len(bench.subset()) == 29
    manifest = bench.store.selection_manifest("adg")
    assert manifest is not None
    assert manifest["counts"]["left_out"]["the same example stands in another shard"] == 1
    bench.add("d", [{**pool[1], "output": "something else"}])
    again = bench.adg("run")
    assert pool[1]["id"] in again.err
    assert "shard d" in again.err
    assert "d" not in bench.store.shards("generations")  # said before anything was sampled
    assert len(bench.subset()) == 29


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--set", "generations.samples=1"], "generations.samples"),
        (["run", "--budget", "-3"], "--budget"),
        (["run", "--set", "selected_subset.weight=3"], "less than or equal to 1"),
        (["run", "--set", "selected_subset.bugdet=3"], "unknown key"),
        (["run", "--arm", "nosuch"], "there is no arm nosuch; known are adg, adg_grounded"),
        (["pool", "add", "missing.json"], "missing.json"),
        (["export", "--format", "csv", "--out", "x"], "csv"),
    ],
)
def test_bad_arguments_are_refused_with_exit_code_2(bench: Workbench, arguments: list[str], words: str) -> None:
    refused = bench.adg(*arguments)
    assert refused.code == 2
    assert words in refused.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "adg pool add"),
        (["explain", "nosuch"], "no example 'nosuch'"),
        (["export", "--format", "alpaca", "--out", "x"], "no such subset"),
    ],
)
def test_a_failure_is_one_line_with_its_mend_and_exit_code_1(
    bench: Workbench, arguments: list[str], words: str
) -> None:
    failed = bench.adg(*arguments)
    assert failed.code == 1
    assert words in failed.err
    assert "Traceback" not in failed.err


def test_a_split_pool_is_listed_with_its_counts(bench: Workbench, tmp_path: Path) -> None:
    source = tmp_path / "mine.json"
    broken: list[Any] = [*records(7), {"instruction": "no answer", "output": ""}]
    source.write_text(json.dumps(broken))
    added = bench.adg("pool", "add", str(source), "--rows-per-shard", "3", "--json")
    assert [shard["key"] for shard in added.json] == ["mine-00000", "mine-00001", "mine-00002"]
    again = bench.adg("pool", "add", str(source), "--rows-per-shard", "3", "--json")
    assert [shard["changed"] for shard in again.json] == [False, False, False]
    assert [row["shard"] for row in bench.adg("pool", "list", "--json").json] == [
        "mine-00000",
        "mine-00001",
        "mine-00002",
    ]


def test_training_on_the_subset_publishes_a_checkpoint_that_leads_back_to_it(bench: Workbench) -> None:
    asked = {"template": "chat", "template_options": {"tone": "dry"}, "system_text": "fold"}
    bench.settings["generations"] |= asked
    bench.write_settings()
    bench.add("a", records(16))
    done = bench.adg("run", "--train", "--json")
    assert done.code == 0, done.err
    checkpoint = Path(done.json["checkpoints"]["adg"])
    assert (checkpoint / "model.safetensors").exists()
    manifest = json.loads((checkpoint / "training_manifest.json").read_text())
    selection = manifest["job"]["provenance"]["selection"]
    assert selection == bench.store.selection_manifest("adg")
    assert set(selection["shards"]) == {"a"}
    loaded = pl.read_parquet(bench.store.selection_dir("adg") / "subset.parquet")
    assert loaded.height == manifest["examples"]
    assert {name: manifest["job"][name] for name in asked} == asked
