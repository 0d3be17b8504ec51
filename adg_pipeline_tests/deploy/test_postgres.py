"""Dagster's database on a PostgreSQL server: what several machines share beside the data directory."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
import yaml
from dagster._core.definitions.sensor_definition import SensorExecutionData

from adg_pipeline.definitions import build_defs
from adg_pipeline.host.children import environment
from adg_pipeline.orchestration.instance import instance_fault
from adg_pipeline.orchestration.partitions import pool_shards
from adg_pipeline.orchestration.sensors import build_pool_growth_sensor, build_reselection_sensor
from adg_pipeline_tests.dagster_dev import dagster_dev
from adg_pipeline_tests.deploy.postgres_server import (
    DEPLOYED,
    HOST,
    PASSWORD,
    PostgresServer,
    postgres_server,
    programs,
)
from adg_pipeline_tests.workbench import Workbench, records

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL's server isn't installed (apt-get install postgresql)")
    with postgres_server(where) as running, environment({"DAGSTER_PG_HOST": HOST, "DAGSTER_PG_PASSWORD": PASSWORD}):
        yield running


def use(home: Path, settings: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(settings, encoding="utf-8")


def test_what_is_deployed_is_the_projects_own_file_with_another_storage() -> None:
    deployed, own = (yaml.safe_load(file.read_text("utf-8")) for file in (DEPLOYED, ROOT / "dagster.yaml"))
    del deployed["storage"]
    assert deployed == own


def test_a_store_given_to_a_new_database_is_current_there_and_nothing_is_computed_again(
    server: PostgresServer, ready: Workbench
) -> None:
    before = ready.adg("status", "--json").json
    with ready.instance() as instance:
        moved = next(run for run in instance.get_runs() if run.job_name == "shards")
    history = ready.folder / "run.gz"
    debug(ready, "export", moved.run_id, str(history))
    shutil.rmtree(ready.folder / "dagster")
    use(ready.folder / "dagster", server.settings("moved"))

    assert ready.adg("status", "--json").json == before
    with ready.instance() as instance:
        assert instance.get_dynamic_partitions(pool_shards.name or "") == []
    done = ready.adg("run", "--json")
    assert done.json["shards_computed"] == []
    assert done.json["selected"] == {"adg": 12}
    with ready.instance() as instance:
        assert instance.get_runs_count() == 0
        assert instance.get_dynamic_partitions(pool_shards.name or "") == ["a", "b"]

    debug(ready, "import", str(history))
    with ready.instance() as instance:
        assert [run.run_id for run in instance.get_runs()] == [moved.run_id]
        assert instance.get_materialized_partitions(dg.AssetKey("generations")) == {"a", "b"}


def debug(bench: Workbench, *arguments: str) -> None:
    """Dagster's own way of taking a run from one instance to another."""
    command = [sys.executable, "-m", "dagster", "debug", *arguments]
    subprocess.run(command, env={**os.environ, **bench.environment()}, check=True, capture_output=True)


def test_sensors_ask_for_what_came_and_know_what_is_under_way(server: PostgresServer, ready: Workbench) -> None:
    use(ready.folder / "dagster", server.settings("sensors"))
    ready.settings["sensors"] = {"settle_seconds": 0}
    ready.write_settings()
    ready.add("c", records(12, first=24))
    growth, reselection = build_pool_growth_sensor(1), build_reselection_sensor(1)
    with ready.instance() as instance:

        def look(sensor: dg.SensorDefinition, cursor: str | None = None) -> SensorExecutionData:
            return sensor.evaluate_tick(
                dg.build_sensor_context(instance, cursor=cursor, resources={"store": ready.store})
            )

        first = look(growth)
        for request in first.dynamic_partitions_requests or ():
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        (asked,) = look(growth, first.cursor).run_requests or ()
        assert asked.tags["dagster/partition"] == "c"
        assert "1 shards are still to be computed" in (look(reselection).skip_message or "")
        job = build_defs(resource_overrides={"store": ready.store}).resolve_job_def("selection")
        instance.create_run_for_job(job)
        assert look(reselection).skip_message == "1 selections are in flight"


def test_what_is_missing_is_one_line_and_no_password_is_told(
    server: PostgresServer, ready: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(ready.folder / "dagster", server.settings("told"))
    ((state, told),) = [
        (row["state"], row["told"]) for row in ready.adg("doctor", "--json").json if row["what"] == "instance"
    ]
    assert state == "ok"
    assert f"PostgresRunStorage at {HOST}:{server.port}/told" in told
    assert PASSWORD not in told

    monkeypatch.delenv("DAGSTER_PG_PASSWORD")
    refused = ready.adg("status")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "dagster.yaml: " in refused.err
    assert "DAGSTER_PG_PASSWORD" in refused.err


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with environment({"DAGSTER_HOME": str(tmp_path)}):
        try:
            sqlalchemy.create_engine(f"postgresql+psycopg2://adg:secret@{HOST}:1/adg").connect()
        except sqlalchemy.exc.OperationalError as error:
            fault = instance_fault(error)
    assert fault is not None
    assert fault.startswith(
        f"{tmp_path}/dagster.yaml: the server of Dagster's database can't be used (connection to server"
    )
    assert "secret" not in fault


@pytest.mark.slow
def test_dropped_files_are_computed_by_the_service_without_a_touch(
    server: PostgresServer, bench: Workbench, tmp_path: Path
) -> None:
    use(bench.folder / "dagster", server.settings("service"))
    bench.settings["sensors"] = {"interval_seconds": 2, "settle_seconds": 1}
    bench.write_settings()
    bench.add("first", records(14))
    with dagster_dev(tmp_path, bench.environment()) as dev:
        dev.wait_for("the subset", lambda: bench.store.selection_manifest("adg"))
        dev.wait_for("quiet", lambda: all(run["status"] == "SUCCESS" for run in dev.runs()))
    with bench.instance() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("generations")) == {"first"}
