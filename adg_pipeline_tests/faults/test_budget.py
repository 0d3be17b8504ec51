"""Budgets that a pool can just meet, can't meet, or could meet until the filters spoke."""

from adg_pipeline.orchestration.runner import RunReport
from adg_pipeline_tests.workbench import Workbench, records


def test_an_earlier_subset_survives_a_budget_over_the_pool_and_one_of_the_whole_pool_is_met(
    ready: Workbench, finished: Workbench
) -> None:
    assert ready.adg("run", "--budget", "25").code == 2
    assert ready.subset() == finished.subset()
    ready.add("c", records(3, first=22))  # two are known already
    done = ready.adg("run", "--budget", "25", "--json")
    assert done.code == 0, done.err
    assert done.json["selected"] == {"adg": 25}


def test_the_default_budget_takes_what_there_is_and_says_so(bench: Workbench) -> None:
    bench.settings["selected_subset"] = {}
    bench.write_settings()
    bench.add("a", records(6))
    done = bench.adg("run", "--json")
    assert done.code == 0, done.err
    assert done.json["selected"] == {"adg": 6}
    assert "warning: selected_subset adg: 6 selected, 9,994 fewer than the budget of 10,000" in done.err
    counts = (bench.store.selection_manifest("adg") or {})["counts"]
    assert (counts["eligible"], counts["selected"], counts["short_of_budget"]) == (6, 6, 9994)


def test_a_selection_that_a_sensor_asks_for_fails_with_the_reason(ready: Workbench, finished: Workbench) -> None:
    """The same jobs without the command line's look beforehand."""
    report = RunReport()
    with ready.instance() as instance:
        ready.runner(instance, "selected_subset.budget=25").select(report)
    assert report.failed == ["selection adg"]
    error = ready.why_failed()
    assert "selected_subset.budget is 25, but the pool holds 24 usable examples" in error
    assert "Traceback" not in error
    assert ready.subset() == finished.subset()


def test_examples_that_the_filters_leave_out_make_the_subset_smaller_in_so_many_words(ready: Workbench) -> None:
    """Nobody could know it beforehand, so it is no refusal: a warning, and numbers in the manifest."""
    setting = "selected_subset.max_output_chars=6"
    done = ready.adg("run", "--set", setting, "--json")
    assert done.code == 0, done.err
    counts = (ready.store.selection_manifest("adg") or {})["counts"]
    assert 0 < counts["selected"] == counts["eligible"] < 12
    assert counts["short_of_budget"] == 12 - counts["selected"]
    assert f"{counts['selected']} selected, {counts['short_of_budget']} fewer than the budget of 12" in done.err
    assert "its reference output is longer than max_output_chars" in done.err
