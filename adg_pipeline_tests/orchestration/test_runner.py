"""Runs that `adg` starts: none fails without a word."""

from collections.abc import Iterator

import pytest
from dagster._core.executor.in_process import InProcessExecutor

from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.orchestration.runner import Runner, RunReport
from adg_pipeline_tests.workbench import Workbench, records


def test_a_run_that_fails_before_any_step_says_why(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> Iterator[object]:
        raise OSError("the disk has gone away")
        yield

    bench.add("a", records(1))
    said: list[str] = []
    monkeypatch.setattr(InProcessExecutor, "execute", fails)
    with bench.instance() as instance:
        runner = bench.runner(instance, say=said.append)
        runner.register(["a"])
        assert not runner.compute(["a"])
    assert any(
        "the run of shards failed outside its steps" in text and "the disk has gone away" in text for text in said
    )


def test_a_runner_selects_by_the_settings_of_its_own_arm(bench: Workbench) -> None:
    bench.add("a", records(40))
    with bench.instance() as instance:
        report = RunReport()
        bench.runner(instance).bring_shards_up_to_date(report)
        for arm in ("adg", "random"):
            bench.runner(instance, arm=arm).select(report)
    assert report.failed == []
    assert [(bench.store.selection_manifest(arm) or {})["config"]["selector"] for arm in report.selected] == [
        "adg",
        "random",
    ]
    assert set(bench.subset("random")) != set(bench.subset("adg"))


def test_settings_for_shards_alone_select_nothing(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADG_CONFIG", str(bench.folder / "adg.yaml"))
    with bench.instance() as instance, pytest.raises(ValueError, match="not for an arm"):
        Runner(bench.store, settings_in_force(bench.store), instance, print).select(RunReport())


def test_machines_that_share_the_pool_select_what_one_alone_selects(bench: Workbench, finished: Workbench) -> None:
    """Each computes its part and selects nothing; who comes last finds every shard current."""
    bench.add("a", records(12))
    bench.add("b", records(12, first=12))
    for part, computed in (("b..", "b"), ("1/2", "a")):
        done = bench.adg("run", "--shards", part, "--json")
        assert done.code == 0, done.err
        assert done.json["shards_computed"] == [computed]
        assert done.json["selected"] == {}
        assert bench.store.selection_manifest("adg") is None
    last = bench.adg("run", "--json")
    assert last.json["shards_computed"] == []
    assert bench.subset() == finished.subset()


@pytest.mark.parametrize("asks", [["--budget", "3"], ["--train"]])
def test_what_is_asked_of_a_subset_is_refused_where_none_is_made(bench: Workbench, asks: list[str]) -> None:
    bench.add("a", records(2))
    refused = bench.adg("run", "--shards", "1/2", *asks)
    assert refused.code == 2
    assert "leave --budget and --train to a run without it" in refused.err
    assert bench.adg("run", "--shards", "3/2").code == 2


def test_a_run_takes_the_steps_that_something_is_to_be_done_for(ready: Workbench, finished: Workbench) -> None:
    ready.store.table_path("divergence_scores", "a").unlink()
    ready.store.table_path("fingerprints", "b").unlink(missing_ok=True)
    assert ready.adg("run").code == 0
    with ready.instance() as instance:
        steps = [
            {one.step_key for one in instance.get_run_step_stats(run.run_id)} for run in instance.get_runs(limit=1)
        ]
    assert steps == [{"divergence_scores"}]
    assert ready.subset() == finished.subset()
