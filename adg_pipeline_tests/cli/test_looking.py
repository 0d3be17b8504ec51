"""Commands that only look leave nothing behind, and say what they looked for, where, and the mend."""

import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from adg_pipeline.cli.main import main
from adg_pipeline.orchestration.instance import may_have_runs, open_instance
from adg_pipeline.orchestration.partitions import pool_shards, register
from adg_pipeline.orchestration.runs import IN_FLIGHT, SHARDS_JOB, range_tags
from adg_pipeline_tests.workbench import Workbench, records

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call `adg` in an empty folder, with nothing set: exit code and stderr."""
    for name in ("ADG_DATA_DIR", "ADG_CONFIG", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def adg(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = 0
        try:
            main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, capfd.readouterr().err

    return adg


EXPORT = ["export", "--format", "alpaca", "--out", "out"]
LOOKING = [
    ["status"],
    ["status", "--json"],
    ["pool", "list"],
    ["explain", "an-id"],
    EXPORT,
    ["subset", "list"],
    ["subset", "diff", "adg", "random"],
    ["subset", "restore", "adg"],
    ["run"],
    ["run", "--retry"],
]


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_a_wrong_folder_is_named_and_stays_as_it_is(call: Call, tmp_path: Path, arguments: list[str]) -> None:
    code, said = call(*arguments)
    assert code == 1
    assert said.count("\n") == 1
    assert f"there is no pool directory {tmp_path}/data/pool (ADG_DATA_DIR isn't set" in said
    assert "`adg pool add FILE`" in said
    assert list(tmp_path.iterdir()) == []


def test_the_variable_that_names_a_wrong_folder_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADG_DATA_DIR", "elsewhere")
    assert "/elsewhere/pool (ADG_DATA_DIR is elsewhere)" in call("status")[1]


def test_an_empty_pool_is_no_reason_to_make_an_instance(call: Call, tmp_path: Path) -> None:
    (tmp_path / "data" / "pool").mkdir(parents=True)
    code, said = call("run")
    assert (code, said.count("\n")) == (1, 1)
    assert "holds no shards: add some with `adg pool add FILE`" in said
    assert call("status")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_run_that_settings_forbid_leaves_no_instance(call: Call, tmp_path: Path) -> None:
    (tmp_path / "data" / "pool").mkdir(parents=True)
    (tmp_path / "data" / "pool" / "a.jsonl").write_text("{}\n")
    assert call("run", "--set", "generations.backbone=./none")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_status_before_the_first_run_makes_no_instance(bench: Workbench) -> None:
    bench.add("a", records(2))
    assert [row["state"] for row in bench.adg("status", "--json").json["shards"]] == ["missing"]
    assert not (bench.folder / "dagster").exists()


@pytest.mark.parametrize(
    ("files", "in_memory"),
    [
        ({}, True),
        ({"dagster.yaml": "telemetry: {enabled: false}\n"}, True),
        ({"dagster.yaml": "telemetry: {enabled: false}\n", "history/runs.db": ""}, False),
        ({"dagster.yaml": "storage: {sqlite: {base_dir: /elsewhere}}\n"}, False),
    ],
)
def test_an_instance_is_opened_for_a_look_only_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], in_memory: bool
) -> None:
    home = tmp_path / "home"
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text.replace("/elsewhere", str(tmp_path / "elsewhere")))
    monkeypatch.setenv("DAGSTER_HOME", os.fspath(home))
    with open_instance(create=False) as instance:
        assert instance.is_ephemeral is in_memory
    if in_memory:
        assert {str(path.relative_to(home)) for path in home.rglob("*")} == set(files)


# A queued run would need a code location.
@pytest.mark.parametrize(
    "status", [status for status in dg.DagsterRunStatus if status is not dg.DagsterRunStatus.QUEUED]
)
def test_the_databases_file_tells_whether_a_run_is_in_flight(bench: Workbench, status: dg.DagsterRunStatus) -> None:
    with bench.instance() as instance:
        assert not may_have_runs(IN_FLIGHT)
        instance.add_run(dg.DagsterRun(job_name="any", status=status))
        assert may_have_runs(IN_FLIGHT) is (status in IN_FLIGHT)


@pytest.mark.parametrize(
    "files",
    [
        {"history/runs.db": "no database"},
        {"history/index.db": ""},
        {"history/runs.db": "", "dagster.yaml": "storage: {sqlite: {base_dir: /elsewhere}}\n"},
        {"history/runs.db": "", "dagster.yaml": "[\n"},
    ],
)
def test_where_the_file_does_not_tell_the_instance_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("DAGSTER_HOME", os.fspath(tmp_path))
    assert may_have_runs(IN_FLIGHT)


def test_a_shard_that_a_run_computes_is_told_as_running(bench: Workbench) -> None:
    for name in ("a", "b"):
        bench.add(name, records(2))
    with bench.instance() as instance:
        register(instance, pool_shards, ["a", "b"])
        instance.add_run(
            dg.DagsterRun(job_name=SHARDS_JOB, status=dg.DagsterRunStatus.STARTED, tags=range_tags("b", "b"))
        )
    states = {row["shard"]: row["state"] for row in bench.adg("status", "--json").json["shards"]}
    assert states == {"a": "missing", "b": "running"}
