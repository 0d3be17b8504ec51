"""The subset that a user made stays his: through plain runs, sensors and the launchpad, until somebody says otherwise."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from adg_pipeline.definitions import build_defs
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.orchestration.sensors import build_reselection_sensor
from adg_pipeline_tests.workbench import NoCapture, Workbench, records


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """A pool of 14 whose budget nobody configured, and the subset of `adg run --budget 6`. Tests work on copies."""
    bench = Workbench(tmp_path_factory.mktemp("made"), NoCapture())
    del bench.settings["selected_subset"]
    bench.write_settings()
    bench.add("a", records(14))
    assert bench.adg("run", "--budget", "6").code == 0
    return bench


@pytest.fixture
def own(
    made: Workbench, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Workbench:
    shutil.copytree(made.folder, tmp_path / "copy")
    bench = Workbench(tmp_path / "copy", capfd, settings={key: dict(value) for key, value in made.settings.items()})
    for name, value in bench.environment().items():
        monkeypatch.setenv(name, value)
    return bench


@pytest.fixture
def instance(own: Workbench) -> Iterator[dg.DagsterInstance]:
    with own.instance() as instance:
        yield instance


def look(bench: Workbench, instance: dg.DagsterInstance) -> list[str] | str:
    """Arms that the sensor asks for, or why none."""
    result = build_reselection_sensor(2)(dg.build_sensor_context(instance=instance, resources={"store": bench.store}))
    if isinstance(result, dg.SkipReason):
        return str(result.skip_message)
    assert isinstance(result, dg.SensorResult)
    return [str(request.partition_key) for request in result.run_requests or ()]


def select(bench: Workbench, instance: dg.DagsterInstance, config: dict[str, Any], tags: dict[str, str]) -> None:
    """A run of the selection as the UI or a sensor starts it."""
    job = build_defs(resource_overrides={"store": bench.store}).resolve_job_def("selection")
    run_config = {"ops": {"selected_subset": {"config": config}}} if config else {}
    assert job.execute_in_process(run_config, instance, partition_key="adg", tags=tags).success


def row(bench: Workbench) -> dict[str, Any]:
    (found,) = bench.adg("status", "--json").json["subsets"]
    return dict(found)


def test_a_budget_given_once_holds_until_the_file_says_otherwise(own: Workbench, instance: dg.DagsterInstance) -> None:
    again = own.adg("run", "--json")
    assert again.json["selected"] == {"adg": 6}
    assert "kept from an earlier run: selected_subset.budget = 6 (not in adg.yaml, default 10000)" in again.err
    assert look(own, instance) == "every subset is up to date"

    first = own.subset()
    own.add("b", records(6, first=14))
    assert own.adg("run", "--json").json["selected"] == {"adg": 6}
    listed = own.adg("subset", "list", "--json").json
    assert [(one["state"], one["examples"], one["pool"]) for one in listed] == [("current", 6, 20), ("before", 6, 14)]
    new, old = (one["subset"] for one in listed)
    found = own.adg("subset", "diff", old, "adg", "--json").json
    assert found["settings"] == {}
    assert set(found["added"]) == set(own.subset()) - set(first)
    assert found["overlap"] == pytest.approx(found["in_both"] / (12 - found["in_both"]))

    assert own.adg("subset", "restore", old[:6]).code == 0
    assert own.subset() == first
    assert (row(own)["state"], row(own)["subset"], row(own)["mend"]) == ("pinned", old, "`adg run`")
    assert look(own, instance) == "restored, so kept until `adg run` is called: the subset of adg"
    select(own, instance, {}, {"dagster/sensor_name": "reselection_sensor"})  # one that was queued before
    assert own.subset() == first
    assert own.adg("run").code == 0
    assert (row(own)["state"], row(own)["subset"]) == ("current", new)

    own.settings["selected_subset"] = {"budget": 9}
    own.write_settings()
    assert row(own)["why"] == "selected_subset.budget 6 → 9"
    assert look(own, instance) == ["adg"]
    assert own.adg("run", "--json").json["selected"] == {"adg": 9}
    assert own.adg("run", "--budget", "5", "--json").json["selected"] == {"adg": 5}
    assert own.adg("run", "--as-configured", "--json").json["selected"] == {"adg": 9}


def test_answers_sampled_otherwise_than_configured_stay_and_new_shards_are_made_alike(own: Workbench) -> None:
    assert own.adg("run", "--set", "generations.samples=3").code == 0
    own.add("b", records(3, first=14))
    again = own.adg("run", "--json")
    assert again.json["shards_computed"] == ["b"]
    assert "kept from an earlier run: generations.samples = 3 (not in adg.yaml, default 5)" in again.err
    assert settings_in_force(own.store).settings.generations.samples == 3
    assert {state["state"] for state in own.adg("status", "--json").json["shards"]} == {"current"}


def test_what_the_launchpad_asked_for_is_kept_and_what_it_left_blank_too(
    own: Workbench, instance: dg.DagsterInstance
) -> None:
    select(own, instance, {"weight": 0.9}, {})
    config = (own.store.selection_manifest("adg") or {})["config"]
    assert (config["budget"], config["weight"]) == (6, 0.9)
    assert look(own, instance) == "every subset is up to date"
    assert own.adg("run", "--json").json["selected"] == {"adg": 6}
    assert row(own)["kept"] == {"selected_subset.budget": {"value": 6}, "selected_subset.weight": {"value": 0.9}}


def test_a_flag_that_made_nothing_is_not_kept_and_a_deleted_subset_is_made_again_as_it_was(own: Workbench) -> None:
    before = own.subset()
    nothing = ["--set", "selected_subset.max_output_chars=1", "--set", "selected_subset.min_output_chars=9"]
    assert own.adg("run", *nothing).code == 1
    shutil.rmtree(own.store.selection_dir("adg"))
    assert own.adg("run").code == 0
    assert own.subset() == before


def test_what_is_left_out_is_said_at_the_end_with_reasons_and_where_to_read_more(own: Workbench) -> None:
    own.add("b", [*records(3, first=14), {"instruction": "no answer", "output": ""}])
    done = own.adg("run", "--set", "selected_subset.max_output_chars=6")
    assert done.code == 0, done.err
    lines = done.err.splitlines()  # what a file loses is said before anything is paid for what is left
    told = next(place for place, line in enumerate(lines) if "raw_pool b: 1 of 4 records rejected (1 × empty" in line)
    assert told < next(place for place, line in enumerate(lines) if line.startswith("generations"))
    said = [line for line in done.out.splitlines() if line.startswith("adg: ")]
    assert any("1 of 18 records of the pool rejected (1 × " in line and "rejects" in line for line in said)
    assert any("its reference output is longer than max_output_chars" in line for line in said)
    assert any(line.endswith("ranking.parquet, column left_out, and `adg explain ID`") for line in said)
    left_out = own.adg("run", "--json").json["left_out"]["adg"]
    assert left_out["examples"] == 17
    assert left_out["records"] == 18
