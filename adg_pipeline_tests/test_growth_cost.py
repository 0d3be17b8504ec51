"""The cost of growth follows the growth."""

import pytest

from adg_pipeline.lineage.states import SHARD_ASSETS
from adg_pipeline.orchestration.runs import SELECTION_JOB
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline_tests.workbench import Workbench, records


def small(bench: Workbench) -> None:
    bench.settings["sensors"] = {"max_shards_per_run": 50}
    bench.settings["selected_subset"]["budget"] = 5
    bench.write_settings()


def test_one_shard_beside_many_costs_one_shard_and_one_selection(bench: Workbench) -> None:
    small(bench)
    pool = records(13)
    for number in range(12):
        bench.add(f"part-{number:02}", [pool[number]])
    assert bench.adg("run").code == 0
    before = {asset: bench.stamps(asset) for asset in SHARD_ASSETS}
    with bench.instance() as instance:
        selections = len([run for run in instance.get_runs() if run.job_name == SELECTION_JOB])
    bench.add("part-12", [pool[12]])
    grown = bench.adg("run", "--json")
    assert grown.json["shards_computed"] == ["part-12"]
    for asset in SHARD_ASSETS:
        after = bench.stamps(asset)
        assert after.keys() - before[asset].keys() == {"part-12"}
        assert {shard: after[shard] for shard in before[asset]} == before[asset]
    with bench.instance() as instance:
        assert len([run for run in instance.get_runs() if run.job_name == SELECTION_JOB]) == selections + 1


def test_a_run_of_many_shards_opens_the_model_once(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    small(bench)
    opened: list[str] = []
    really_open = TransformersGenerator.open

    def count(self: TransformersGenerator) -> None:
        opened.append("generator")
        really_open(self)

    monkeypatch.setattr(TransformersGenerator, "open", count)
    pool = records(7)
    for number in range(6):
        bench.add(f"part-{number}", [pool[number]])
    assert bench.adg("run", "--in-process").code == 0
    assert opened == ["generator"]
    # Shards 1 and 4, which aren't neighbours, are two runs; the four between and around them are left alone.
    for number in (1, 4):
        bench.add(f"part-{number}", [pool[number], pool[6]])
    opened.clear()
    assert bench.adg("run", "--in-process", "--json").json["shards_computed"] == ["part-1", "part-4"]
    assert opened == ["generator", "generator"]
