"""Every arm on a pool of its own: the same subset whatever the shards, the order and the batches; its settings; its name."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from adg_pipeline.algorithms.arms import BUILT_IN
from adg_pipeline.algorithms.budgets import choose, keep_listed, parts_of
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.assets.candidates import candidates, read_queries, scored_examples
from adg_pipeline.assets.given import find_given
from adg_pipeline.definitions import build_defs
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.in_force import reads_tokens
from adg_pipeline.lineage.states import selection_inputs
from adg_pipeline.orchestration.runs import PARTITION_TAG
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline.resources.losses.states import query_states
from adg_pipeline.settings.sections import GenerationConfig, SelectionConfig
from adg_pipeline_tests.resources.losses.rankers import write_ranker
from adg_pipeline_tests.workbench import NoCapture, Workbench, records

ROWS, BUDGET = 26, 9
SOURCES = ("x", "y", "z")
MADE = "superfiltering"  # the arm whose subset is made in both pools
SCORED = GenerationConfig(dtype="auto", device="cpu")


def own_bench(folder: Any, **batches: int) -> Workbench:
    """One whose references are scored in every way there is."""
    bench = Workbench(folder, NoCapture())
    bench.settings["selected_subset"] = {"budget": BUDGET, "max_tokens": 10_000}
    write_ranker(folder / "ranker")
    ranker = str(folder / "ranker")
    bench.settings["reference_losses"] = {"plain": True, "states": True, "noisy_copies": 2, "ranker": ranker}
    for section, size in batches.items():
        bench.settings[section]["batch_size"] = size
    bench.write_settings()
    return bench


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """One shard, in the order of the world."""
    bench = own_bench(tmp_path_factory.mktemp("whole"))
    bench.add("a", rows())
    opened = []
    with pytest.MonkeyPatch.context() as patch:
        really = TransformersGenerator.open
        patch.setattr(TransformersGenerator, "open", lambda generator: (opened.append(1), really(generator)))
        made = bench.adg("run", "--arm", MADE)
    assert made.code == 0, made.err
    assert len(opened) == 1  # for the answers and for the references
    return bench


@pytest.fixture(scope="module")
def in_pieces(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """The same examples backwards in shards of two sizes, answered, embedded and scored in other batches."""
    bench = own_bench(tmp_path_factory.mktemp("pieces"), generations=5, embeddings=3, reference_losses=7)
    backwards = rows()[::-1]
    bench.add("b", backwards[:17])
    bench.add("a", backwards[17:])
    made = bench.adg("run", "--arm", MADE)
    assert made.code == 0, made.err
    return bench


def rows() -> list[dict[str, Any]]:
    return [{**record, "source": SOURCES[number % 3]} for number, record in enumerate(records(ROWS))]


def chosen_from(bench: Workbench, arm: str, **settings: Any) -> tuple[Candidates, SelectionConfig]:
    """What the arm chooses from, of what is stored."""
    queries = bench.folder / "queries.json"
    queries.write_text(json.dumps(records(3, first=ROWS)))
    listed = bench.folder / "list.json"
    listed.write_text(json.dumps(records(5, first=3)))
    config = BUILT_IN[arm].config(
        SelectionConfig.model_validate({"budget": BUDGET, "queries": str(queries), "given": str(listed), **settings})
    )
    shards = list(list_shards(bench.store.pool_dir).shards)
    inputs = selection_inputs(bench.store, shards, references=True, tokens=reads_tokens(config))
    states = states_of(read_queries(config)) if BUILT_IN[arm].chooses.likeness else None
    given = find_given(bench.store, inputs.shards, config).ids
    return candidates(bench.store, scored_examples(bench.store, inputs, config), config, states, given), config


def table(bench: Workbench, arm: str) -> pl.DataFrame:
    """What the arm chooses of what is stored."""
    eligible, config = chosen_from(bench, arm)
    return SELECTORS[config.selector].choose(eligible, config)


def states_of(queries: Any) -> Any:
    with TransformersGenerator(SCORED) as generator:
        return query_states(queries, generator, 2)


@pytest.mark.parametrize("arm", BUILT_IN)
def test_the_subset_is_the_same_whatever_the_shards_order_and_batches(
    whole: Workbench, in_pieces: Workbench, arm: str
) -> None:
    one, other = table(whole, arm), table(in_pieces, arm)
    assert one["selected"].any()
    assert one.equals(other)


BUDGETS: dict[str, dict[str, Any]] = {
    "examples": {"max_tokens": 200},
    "tokens": {"budget_tokens": 400},
    "quotas": {"source_quotas": {"x": 2, "y": 1}},
    "weights": {"source_weights": {"x": 1, "z": 2}},
    "tokens by weights": {"budget_tokens": 400, "source_weights": {"x": 1, "y": 1, "z": 2}},
}


@pytest.mark.parametrize("arm", BUILT_IN)
def test_budgets_in_tokens_and_by_source_hold_for_every_arm_with_what_must_be_kept(
    whole: Workbench, in_pieces: Workbench, arm: str
) -> None:
    for name, settings in BUDGETS.items():
        made = []
        for bench in (whole, in_pieces):
            eligible, config = chosen_from(bench, arm, **settings)
            plain = choose(eligible, config, parts_of(eligible, config))
            # One that the arm wouldn't take, of a source that has a part of the budget.
            others = plain.with_columns(eligible.frame["source"]).filter(~pl.col("selected"), pl.col("source") == "x")
            must = others["example_id"].to_list()[:1]
            parts = parts_of(eligible, config, must)
            kept = keep_listed(choose(eligible, config, parts), must, eligible, config, parts)
            made.append((plain, kept))
            for places, listed in ((plain, []), (kept, must)):
                selected = places["selected"].to_numpy()
                taken = eligible.frame.filter(places["selected"])
                assert set(listed) <= set(taken["example_id"]), name
                assert sorted(places["position"].drop_nulls()) == list(range(1, int(selected.sum()) + 1))
                by_source = dict(taken["source"].value_counts().iter_rows())
                # What can be taken at most: the others are out of the arm's reach, or barred by it.
                may = places["left_out"].is_null().to_numpy() if "left_out" in places else np.ones(places.height, bool)
                if config.budget_tokens is not None:
                    assert taken["tokens"].sum() <= config.budget_tokens
                elif config.quota == "largest_remainder":
                    of_quotas = eligible.frame["source"].is_in(list(config.source_quotas)).to_numpy()
                    quotas = sum(config.source_quotas.values())
                    assert taken.height == quotas + min(BUDGET - quotas, int((may & ~of_quotas).sum())), name
                if config.source_quotas and config.quota == "largest_remainder":
                    assert {key: by_source.get(key, 0) for key in config.source_quotas} == config.source_quotas
                assert not config.source_weights or set(by_source) <= set(config.source_weights)
        (plain, kept), (other_plain, other_kept) = made
        assert plain.equals(other_plain), name
        assert kept.equals(other_kept), name


def test_the_stored_subset_is_the_same_whatever_the_shards_order_and_batches(
    whole: Workbench, in_pieces: Workbench
) -> None:
    assert whole.subset(MADE) == in_pieces.subset(MADE)
    assert len(whole.subset(MADE)) == BUDGET


def test_in_processes_of_their_own_the_step_that_answers_scores_too(in_pieces: Workbench) -> None:
    with in_pieces.instance() as instance:
        run = next(run for run in instance.get_runs() if run.job_name == "shards")  # the newest
        told = {entry.user_message for entry in instance.all_logs(run.run_id) if entry.step_key == "reference_losses"}
        also = {entry.user_message for entry in instance.all_logs(run.run_id) if entry.step_key == "generations"}
    for number, shard in enumerate("ab", start=1):
        assert f"reference_losses {shard} ({number} of 2): computed while the engine is open" in also
        assert f"reference_losses {shard} ({number} of 2): up to date, nothing computed" in told


@pytest.fixture
def own(
    whole: Workbench, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Workbench:
    shutil.copytree(whole.folder, tmp_path / "copy")
    bench = Workbench(tmp_path / "copy", capfd, settings={key: dict(value) for key, value in whole.settings.items()})
    for name, value in bench.environment().items():
        monkeypatch.setenv(name, value)
    return bench


def test_arms_of_one_run_have_budgets_of_their_own_and_one_that_is_gone_keeps_its_subset(own: Workbench) -> None:
    own.settings["arms"] = {"small": {"selector": "ifd", "bins": "none", "budget": 4}}
    own.write_settings()
    made = own.adg("run", "--arm", "small", "--arm", "random", "--json")
    assert made.json["selected"] == {"small": 4, "random": BUDGET}
    assert made.json["shards_computed"] == []
    manifest = own.store.selection_manifest("random")
    assert manifest is not None
    assert (manifest["arm"], manifest["config"]["selector"]) == ("random", "random")

    status = own.adg("status", "--json").json
    states = {row["arm"]: row["state"] for row in status["subsets"]}
    assert states == {"adg": "missing", "random": "current", "small": "current", "superfiltering": "current"}
    assert status["shards"][0]["reference_losses"] == ROWS

    best = own.subset("small")[0]
    explained = own.adg("explain", best, "--arm", "small", "--json").json
    assert explained["selection"]["arm"] == "small"
    assert explained["selection"]["verdict"] == "selected, number 1 of the subset: one ranking of the whole pool"
    assert explained["references"]["reference_logprob"] < 0

    del own.settings["arms"]
    own.write_settings()
    gone = {row["arm"]: row for row in own.adg("status", "--json").json["subsets"]}["small"]
    assert (gone["state"], gone["why"], gone["examples"]) == ("stale", "there is no arm small any more", 4)
    assert own.adg("explain", best, "--arm", "small").code == 0
    assert "there is no arm small; known are adg," in own.adg("run", "--arm", "small").err


def test_queries_are_read_by_a_step_of_their_own_and_the_selection_opens_no_model(
    own: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, opened = TransformersGenerator.open, list[int]()
    monkeypatch.setattr(TransformersGenerator, "open", lambda generator: (opened.append(1), really(generator)))
    queries = own.folder / "wanted.json"
    queries.write_text(json.dumps(records(3, first=ROWS)))

    def run(arm: str, *flags: str) -> tuple[int, set[str]]:
        """How often the backbone is opened, and the steps of the selection's run."""
        opened.clear()
        made = own.adg("run", "--arm", arm, *flags)
        assert made.code == 0, made.err
        with own.instance() as instance:
            (newest,) = instance.get_runs(limit=1)
            return len(opened), {str(entry.step_key) for entry in instance.all_logs(newest.run_id) if entry.step_key}

    asked = ("--set", f"selected_subset.queries={queries}")
    assert run("rds_plus", *asked) == (1, {"semantic_bins", "query_states", "selected_subset", "stored_data_holds"})
    first = own.subset("rds_plus")
    assert len(first) == BUDGET
    assert run("rds_plus", *asked, "--budget", "5")[0] == 0
    assert "query_states" not in run("random", "--budget", "5")[1]

    queries.write_text(json.dumps(records(3, first=ROWS + 3)))
    job = build_defs(resource_overrides={"store": own.store}).resolve_job_def("selection")
    with own.instance() as instance:
        alone = job.execute_in_process(
            instance=instance,
            tags={PARTITION_TAG: "rds_plus"},
            asset_selection=[dg.AssetKey("selected_subset")],
            raise_on_error=False,
        )
    assert not alone.success
    assert "queries of rds_plus or the way" in own.why_failed()
    assert "`adg run --arm rds_plus`, or materialise query_states" in own.why_failed()
    assert run("rds_plus", *asked, "--budget", str(BUDGET))[0] == 1
    assert own.subset("rds_plus") != first


def test_a_list_of_ones_own_is_an_arm_and_tells_what_the_pool_lacks(own: Workbench) -> None:
    best = own.subset(MADE)
    ids = own.folder / "chosen.txt"
    ids.write_text("\n".join([best[4], best[1], "nowhere", best[4]]) + "\n")
    made = own.adg(
        "run", "--arm", "given", "--set", f"selected_subset.given={ids}", "--set", "selected_subset.budget=3"
    )
    assert made.code == 0
    assert own.subset("given") == [best[4], best[1]]
    assert f"1 of 4 entries of the given list are not in the pool: {ids}, line 3: nowhere" in made.err
    assert own.adg("explain", best[0], "--arm", "given", "--json").json["selection"]["verdict"] == (
        "not selected: the given list doesn't have it"
    )
    # Edited, the list is another one.
    ids.write_text(f"{best[0]}\n")
    state = {row["arm"]: row for row in own.adg("status", "--json").json["subsets"]}["given"]
    assert (state["state"], state["why"]) == ("stale", "the file of selected_subset.given holds other examples")
    ids.write_text("nowhere\n")
    refused = own.adg("run", "--arm", "given")
    assert refused.code == 1
    assert "selected_subset.given: the pool holds nothing of" in own.why_failed()
    assert "given needs a file that lists the subset" in own.adg("run", "--arm", "given", "--as-configured").err


def test_a_partition_of_no_arm_fails_at_once_and_says_what_there_is(own: Workbench) -> None:
    job = build_defs(resource_overrides={"store": own.store}).resolve_job_def("selection")
    with own.instance() as instance:
        instance.add_dynamic_partitions("arms", ["best"])
        result = job.execute_in_process(instance=instance, tags={PARTITION_TAG: "best"}, raise_on_error=False)
    assert not result.success
    told = result.failure_data_for_node("query_states")
    assert told is not None
    assert told.user_failure_data is not None
    assert "there is no arm 'best': known are adg" in str(told.user_failure_data.description)
