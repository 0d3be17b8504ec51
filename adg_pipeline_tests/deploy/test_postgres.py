"""Dagster's database on a PostgreSQL server: what several machines share beside the data directory."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
import yaml
from dagster._core.definitions.sensor_definition import SensorExecutionData

from adg_pipeline.definitions import build_defs
from adg_pipeline.host.children import environment
from adg_pipeline.orchestration.instance import have_pools, instance_fault
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
GPU_STEPS = {"generations", "answer_embeddings", "instruction_embeddings"}


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


def test_two_hosts_compute_a_pool_together_each_shard_once_and_a_model_at_a_time(
    server: PostgresServer, bench: Workbench, finished: Workbench
) -> None:
    for shard in ("a", "b"):
        shutil.copy(finished.pool / f"{shard}.jsonl", bench.pool)
    settings = server.settings("hosts")
    use(bench.folder / "dagster", settings)
    with bench.instance() as instance:
        other = on_another_host(bench, settings)
        while not instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            assert other.poll() is None
            time.sleep(0.1)
        here = bench.adg("run")
        assert (here.code, "was killed earlier" in here.err) == (0, False), here.err
        _, said = other.communicate()
        assert other.returncode == 0, said
        assert bench.subset() == finished.subset()

        runs = instance.get_runs()
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        logs = [entry for run in runs for entry in instance.all_logs(run.run_id)]
        computed = [entry.user_message for entry in logs if entry.user_message.endswith(" 12 rows")]
        for shard in ("a", "b"):
            assert sum(said.startswith(f"generations {shard} ") for said in computed) == 1
        assert most_at_once(logs, GPU_STEPS) == 1
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []


def on_another_host(bench: Workbench, settings: str) -> "subprocess.Popen[str]":
    """`adg run` under another host's name and with a home of its own. Its processes have numbers that none has here."""
    home = bench.folder / "home-of-another"
    use(home, settings)
    apart = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    script = 'hostname another && echo 4000000 > /proc/sys/kernel/ns_last_pid && "$@"; exit $?'
    return subprocess.Popen(
        [*apart, "sh", "-c", script, "sh", sys.executable, "-m", "adg_pipeline.cli", "run"],
        env={**os.environ, **bench.environment(), "DAGSTER_HOME": str(home)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def most_at_once(logs: list[dg.EventLogEntry], names: set[str]) -> int:
    """Most of these steps that ran at the same time, over all runs."""
    change = {dg.DagsterEventType.STEP_START: 1, dg.DagsterEventType.STEP_SUCCESS: -1}
    moments = sorted(
        (entry.timestamp, change[entry.dagster_event.event_type])
        for entry in logs
        if entry.dagster_event is not None and entry.step_key in names and entry.dagster_event.event_type in change
    )
    assert moments
    running = most = 0
    for _, difference in moments:
        running += difference
        most = max(most, running)
    return most


def test_of_hosts_that_are_the_first_at_once_none_fails_for_a_pool_that_another_one_made(
    server: PostgresServer, tmp_path: Path
) -> None:
    use(tmp_path, server.settings("first"))
    hosts = [dg.DagsterInstance.from_config(str(tmp_path)) for _ in range(6)]
    together = threading.Barrier(len(hosts))

    def come(host: dg.DagsterInstance) -> set[str]:
        together.wait()
        have_pools(host)
        return {limit.name for limit in host.event_log_storage.get_pool_limits()}

    with ThreadPoolExecutor(len(hosts)) as pool:
        assert list(pool.map(come, hosts)) == [{"gpu", "selection"}] * len(hosts)


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
