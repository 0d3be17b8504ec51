"""A comparison from the pool to its report: what is done, what isn't done again, and what is refused."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from adg_pipeline.lineage.in_force import InForce, settings_in_force
from adg_pipeline.orchestration.comparing import compare, to_do
from adg_pipeline.orchestration.runner import Runner, RunReport
from adg_pipeline_tests.trials import Rehearsal
from adg_pipeline_tests.workbench import Workbench, records

ARMS, SEEDS = ("adg", "random"), (42, 43)


def rehearse(bench: Workbench, *sets: str) -> tuple[list[tuple[str, str, int]], RunReport, list[str]]:
    """What a comparison of two arms with two seeds does, its report, and its plan."""
    said = {one: f"--set {one}" for one in (*sets, "benchmark_results.suite=embedded", "comparison_report.seeds=2")}
    os.environ |= bench.environment()
    asked = {arm: settings_in_force(bench.store, arm, said) for arm in ARMS}
    done: list[tuple[str, str, int]] = []
    report = RunReport()
    with bench.instance() as instance:

        def runner(of: InForce) -> Rehearsal:
            made = Rehearsal(bench.store, of, instance, lambda text: None)
            made.done = done
            return made

        plan = to_do(bench.store, asked, SEEDS, runner(asked["adg"])).in_words()
        compare(bench.store, asked, SEEDS, runner, report, lambda text: None)
    return done, report, plan


def test_what_is_current_is_not_done_again_and_what_differs_is_refused_by_name(
    ready: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ready.environment().items():
        monkeypatch.setenv(name, value)
    done, report, plan = rehearse(ready)
    assert report.failed == []
    # Seed by seed, so that one that is stopped has compared all arms on those before.
    trials = [(what, arm, seed) for seed in SEEDS for arm in ARMS for what in ("train", "evaluate")]
    assert done == [("evaluate", "untuned", 0), *trials]
    assert plan == [
        "1 subsets to select: random",
        "4 of 4 trainings to do, how long isn't known yet",
        "4 of 4 evaluations to do, how long isn't known yet",
        "the untuned backbone to evaluate, beside them",
    ]
    folder = Path(report.comparison)
    figures = pl.read_parquet(folder / "figures.parquet")
    average = figures.filter(figure="Avg.", arm="adg").row(0, named=True)
    assert (average["baseline"], average["seeds"]) == ("random", 2)
    assert average["difference"] > 0.3
    untuned = figures.filter(figure="Avg.", arm="untuned backbone").row(0, named=True)
    assert (untuned["baseline"], untuned["seeds"], untuned["p"]) == ("random", 1, untuned["p_holm"])
    # It is no comparison of arms, so the arm's own p is as if it weren't there.
    assert average["p_holm"] == average["p"]
    manifest = json.loads((folder / "manifest.json").read_text())
    of = {name: trial["subset"] for name, trial in manifest["trials"].items()}
    assert of["adg, seed 42"] == of["adg, seed 43"]
    assert of["random, seed 42"] != of["random, seed 43"]
    html = (folder / "index.html").read_text()
    assert "drawn anew for each" in html
    assert of["random, seed 43"] in html
    assert "Before any tuning the backbone gets" in html
    for stage in ("Sampling answers", "Embedding answers", "Embedding instructions", "Scoring divergence"):
        row = next(row for row in html.split("<tr>") if f">{stage}<" in row)
        assert "not recorded" not in row
        assert "CPU" in row

    # Stopped after three of four: one evaluation is left.
    shutil.rmtree(ready.store.results_dir("random", 43, "embedded"))
    done, report, plan = rehearse(ready)
    assert done == [("evaluate", "random", 43)]
    assert plan[-3:] == [
        "0 of 4 trainings to do",
        "1 of 4 evaluations to do, 4 s each as measured before",
        "about 4 s in all, as far as known",
    ]
    assert rehearse(ready)[0] == []

    # A checkpoint with other settings is trained anew, and so evaluated.
    done, report, _ = rehearse(ready, "finetuned_checkpoint.learning_rate=0.001")
    assert len(done) == 8

    # Results that were got otherwise, behind our back.
    results = ready.store.results_dir("random", 42, "embedded") / "manifest.json"
    record = json.loads(results.read_text())
    record["device"] = "another GPU"
    results.write_text(json.dumps(record))
    done, report, _ = rehearse(ready, "finetuned_checkpoint.learning_rate=0.001")
    assert report.failed == ["comparison"]
    assert 'device is "cpu" of adg, seed 42' in ready.why_failed()
    assert '"another GPU" of random, seed 42' in ready.why_failed()


def test_arms_of_several_budgets_are_compared_with_the_baseline_of_the_same(
    ready: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ready.environment().items():
        monkeypatch.setenv(name, value)
    assert ready.adg("run", "--arm", "random-6", "--arm", "random-9").code == 0
    assert len(ready.subset("random-6")) == 6
    assert set(ready.subset("random-6")) < set(ready.subset("random-9"))
    rows = {row["arm"]: row["budget"] for row in ready.adg("status", "--json").json["subsets"]}
    assert rows == {"adg": 12, "random-6": 6, "random-9": 9}
    refused = ready.adg("run", "--arm", "nosuch-6")
    assert refused.code == 2


def test_it_says_beforehand_what_new_shards_take_as_those_that_are_stored_took(ready: Workbench) -> None:
    ready.add("c", records(8, first=24))
    os.environ |= ready.environment()
    said = {"benchmark_results.suite=embedded": "--suite embedded"}
    asked = {arm: settings_in_force(ready.store, arm, said) for arm in ARMS}
    with ready.instance() as instance:
        todo = to_do(ready.store, asked, SEEDS, Runner(ready.store, asked["adg"], instance, lambda text: None))
    assert todo.shards == ["c"]
    assert [stage.stage for stage in todo.stages] == [
        "instruction_embeddings", "generations", "answer_embeddings", "divergence_scores",
    ]  # fmt: skip
    told = todo.in_words()[0]
    assert told.startswith("1 shards to compute, at most 40 answers to sample, about ")
    assert told.endswith(" tokens sampled")
    assert todo.seconds is not None
    assert ready.store.shards("generations") == ["a", "b"]
