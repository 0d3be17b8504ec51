"""The reselection sensor on a real instance and store, one look after the other."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from adg_pipeline.formats.shards import file_version, list_shards
from adg_pipeline.orchestration.runner import RunReport
from adg_pipeline.orchestration.runs import SELECTION_JOB
from adg_pipeline.orchestration.sensors import build_reselection_sensor
from adg_pipeline.settings.loading import load_settings
from adg_pipeline_tests.workbench import Workbench, records


class Watch:
    """A pipeline, and what its sensor asks for."""

    def __init__(self, bench: Workbench, instance: dg.DagsterInstance) -> None:
        self.bench, self.instance = bench, instance
        self.settings = load_settings(bench.folder / "adg.yaml")
        self.runner = bench.runner(instance)

    def look(self) -> list[str] | str:
        """Run keys asked for, or why none is."""
        context = dg.build_sensor_context(instance=self.instance, resources={"store": self.bench.store})
        result = build_reselection_sensor(2)(context)
        if isinstance(result, dg.SkipReason):
            return str(result.skip_message)
        assert isinstance(result, dg.SensorResult)
        return [str(request.run_key) for request in result.run_requests or ()]

    def compute(self, *shards: str) -> None:
        self.runner.register(shards)
        assert self.runner.compute(shards)

    def select(self) -> None:
        report = RunReport()
        self.runner.select(report)
        assert not report.failed


@pytest.fixture
def watch(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    bench.settings["selected_subset"]["budget"] = 4
    bench.settings["sensors"] = {"max_shards_per_run": 12}
    bench.write_settings()
    for name, value in bench.environment().items():
        monkeypatch.setenv(name, value)
    bench.add("a", records(6))
    with bench.instance() as instance:
        watch = Watch(bench, instance)
        watch.compute("a")
        yield watch


@contextmanager
def a_selection_in_flight(watch: Watch) -> Iterator[None]:
    run = dg.DagsterRun(job_name=SELECTION_JOB, status=dg.DagsterRunStatus.STARTED)
    watch.instance.add_run(run)
    yield
    watch.instance.report_run_canceled(run)


def test_an_update_while_a_selection_runs_leads_to_exactly_one_more(watch: Watch) -> None:
    first = watch.look()
    assert len(first) == 1
    with a_selection_in_flight(watch):
        watch.select()
        watch.bench.add("b", records(6, first=6))
        watch.compute("b")
        assert watch.look() == "1 selections are in flight"
    more = watch.look()
    assert len(more) == 1
    assert more != first
    watch.select()
    assert watch.look() == "every subset is up to date"


def test_shards_that_finish_together_lead_to_one_selection(watch: Watch) -> None:
    watch.select()
    names = [f"more-{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        watch.bench.add(name, records(1, first=10 + number))
    assert "still to be computed" in watch.look()
    watch.compute(*names)
    assert len(watch.look()) == 1
    watch.select()
    assert watch.look() == "every subset is up to date"


def test_a_selection_that_keeps_failing_is_asked_for_once_until_something_changes(watch: Watch) -> None:
    # Dagster starts one run per run key, whatever becomes of it.
    failing = watch.look()
    assert watch.look() == failing
    watch.bench.add("b", records(3, first=6))
    watch.compute("b")
    assert watch.look() != failing


def test_a_shard_put_aside_does_not_block_it_and_is_named_in_the_manifest(watch: Watch) -> None:
    watch.bench.add("b", records(3, first=6))
    store = watch.bench.store
    recipe = store.required_provenance("raw_pool", "a").recipe.id
    store.quarantine.put(
        "raw_pool", "b", "its records are damaged", file_version(list_shards(store.pool_dir).shards["b"]), recipe
    )
    assert len(watch.look()) == 1
    watch.select()
    manifest = store.selection_manifest("adg")
    assert manifest is not None
    assert "its records are damaged" in manifest["shards_left_out"]["b"]
