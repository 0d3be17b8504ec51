"""A disk that is full or read-only: named in plain words, nothing good is lost, and the same command goes on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adg_pipeline.lineage.states import SHARD_ASSETS
from adg_pipeline_tests.faults.conftest import SmallDisk, contents, forget, good_files, place_of
from adg_pipeline_tests.workbench import Workbench, records

FULL = "No space left on device"


@pytest.mark.parametrize("stage", SHARD_ASSETS)
def test_a_full_disk_at_any_stage_is_named_and_the_same_command_goes_on(
    disk: SmallDisk, finished: Workbench, stage: str
) -> None:
    bench = disk.bench
    forget(bench, stage, "b")
    before = good_files(bench)
    disk.fill()

    failed = bench.adg("run")
    assert failed.code == 1
    named = bench.store.journal_path("b") if stage == "generations" else place_of(bench, stage, "b")
    assert str(named) in failed.err
    assert f"can't be written ({FULL})" in failed.err
    assert "free space, then run again" in failed.err
    assert "Traceback" not in failed.err
    assert good_files(bench).items() >= before.items()

    disk.free()
    assert bench.adg("run").code == 0
    assert bench.subset() == finished.subset()
    assert {row["state"] for row in bench.adg("status", "--json").json["shards"]} == {"current"}


def test_answers_that_were_had_before_the_disk_filled_are_not_paid_twice(disk: SmallDisk, finished: Workbench) -> None:
    bench = disk.bench
    forget(bench, "generations", "b")
    bench.store.look(keep=True)  # or the ledger, which a run writes first, takes the little room that is left
    disk.fill(leave=8192)
    failed = bench.adg("run")
    assert failed.code == 1
    journal = bench.store.journal_path("b")
    assert f"{journal}: can't be written ({FULL})" in failed.err
    had = journal.read_bytes().count(b"\n")
    assert 0 < had < 60

    disk.free()
    assert bench.adg("run").code == 0
    facts = bench.store.required_provenance("generations", "b").facts
    assert (facts["reused"], facts["asked"]) == (had, 60 - had)
    assert bench.subset() == finished.subset()


def test_a_pool_that_grows_on_a_full_disk_leaves_the_earlier_subset_as_it_is(disk: SmallDisk, grown: Workbench) -> None:
    bench = disk.bench
    bench.add("c", records(12, first=24))
    before = good_files(bench)
    disk.fill()
    failed = bench.adg("run")
    assert failed.code == 1
    assert f"{bench.store.table_path('raw_pool', 'c')}: can't be written ({FULL})" in failed.err
    assert "the subset at hand stays as it is" in failed.err
    assert good_files(bench) == before

    disk.free()
    assert bench.adg("run").code == 0
    assert bench.adg("run", "--set", "semantic_bins.refit=true").code == 0
    assert bench.subset() == grown.subset()


@pytest.mark.parametrize("settings", ["selected_subset.weight=0.9", "semantic_bins.examples_per_bin=6"])
def test_a_full_disk_at_the_selection_leaves_bins_and_subset_as_they_are(
    disk: SmallDisk, damaged: Workbench, settings: str
) -> None:
    bench = disk.bench
    before = contents(bench.store.root / "selections"), contents(bench.store.bins.directory)
    disk.fill()
    failed = bench.adg("run", "--set", settings)
    assert failed.code == 1
    directory = bench.store.selection_dir("adg") if "weight" in settings else bench.store.bins.directory
    assert f"{directory}: can't be written ({FULL})" in failed.err
    assert "Traceback" not in failed.err
    assert (contents(bench.store.root / "selections"), contents(bench.store.bins.directory)) == before

    disk.free()
    assert bench.adg("run", "--set", settings).code == 0
    assert damaged.adg("run", "--set", settings).code == 0
    assert bench.subset() == damaged.subset()


def test_a_full_disk_while_training_is_named_and_the_training_can_be_repeated(disk: SmallDisk) -> None:
    bench = disk.bench
    disk.fill(leave=2 * 2**20)  # less than the weights
    failed = bench.adg("run", "--train")
    assert failed.code == 1
    assert f"{bench.store.checkpoint_dir('adg', 42)}: can't be written ({FULL})" in failed.err
    assert "Traceback" not in failed.err
    assert not bench.store.checkpoint_dir("adg", 42).exists()

    disk.free()
    done = bench.adg("run", "--train", "--json")
    assert done.code == 0, done.err
    assert (bench.store.checkpoint_dir("adg", 42) / "model.safetensors").exists()


@pytest.mark.parametrize("leave", [0, 100_000])
def test_a_full_disk_that_holds_dagsters_own_database_too_is_named(
    disk: SmallDisk, finished: Workbench, leave: int
) -> None:
    """As it is by default: data and instance side by side. What fails first depends on the room that is left."""
    bench = disk.bench
    home = bench.store.root / ".dagster"
    shutil.move(bench.folder / "dagster", home)
    (bench.folder / "dagster").symlink_to(home)
    forget(bench, "divergence_scores", "b")
    before = good_files(bench)
    disk.fill(leave)
    failed = bench.adg("run")
    assert failed.code == 1, failed.err
    assert f"{home}: Dagster's database can't be used (" in failed.err or FULL in failed.err
    assert "Traceback" not in failed.err
    if leave == 0:
        assert bench.adg("status").code == 1  # it can't be asked what is running
    assert good_files(bench).items() >= before.items()

    disk.free()
    assert bench.adg("run").code == 0
    assert bench.subset() == finished.subset()


def test_a_read_only_disk_is_named_and_can_still_be_looked_at(disk: SmallDisk, finished: Workbench) -> None:
    bench = disk.bench
    forget(bench, "divergence_scores", "b")
    before = good_files(bench)
    disk.remount("ro")
    failed = bench.adg("run")
    assert failed.code == 1
    assert "can't be written (Read-only file system)" in failed.err
    assert "make it writable, then run again" in failed.err
    assert "Traceback" not in failed.err
    assert {row["shard"]: row["state"] for row in bench.adg("status", "--json").json["shards"]} == {
        "a": "current",
        "b": "missing",
    }
    assert bench.adg("explain", bench.subset()[0]).code == 0

    disk.remount("rw")
    assert good_files(bench) == before
    assert bench.adg("run").code == 0
    assert bench.subset() == finished.subset()


def test_a_directory_that_permissions_close_is_named(damaged: Workbench, finished: Workbench) -> None:
    """Permission bits don't bind root unless it gives that up, so root's child does."""
    forget(damaged, "divergence_scores", "b")
    command = [sys.executable, "-m", "adg_pipeline.cli", "run"]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("permission bits don't bind root, and there is no setpriv to change that")
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    closed = damaged.store.root / "divergence_scores"
    closed.chmod(0o555)
    environment = {**os.environ, **damaged.environment()}
    failed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert failed.returncode == 1, failed.stderr
    assert (
        f"{damaged.store.table_path('divergence_scores', 'b')}: can't be written (Permission denied)" in failed.stderr
    )
    assert "make it writable, then run again" in failed.stderr
    assert "Traceback" not in failed.stderr

    closed.chmod(0o755)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == finished.subset()


def test_adding_to_a_full_disk_names_the_file_and_adds_nothing(disk: SmallDisk, tmp_path: Path) -> None:
    source = tmp_path / "more.json"
    source.write_text(json.dumps(records(400, first=24)))
    before = contents(disk.bench.pool)
    disk.fill()
    failed = disk.bench.adg("pool", "add", str(source), "--rows-per-shard", "200")
    assert failed.code == 1
    assert FULL in failed.err
    assert str(disk.bench.pool) in failed.err
    assert "Traceback" not in failed.err
    assert contents(disk.bench.pool) == before
    disk.free()
    assert disk.bench.adg("pool", "add", str(source), "--rows-per-shard", "200").code == 0


def test_a_pool_that_may_not_be_written_is_named_and_nothing_is_left_there(disk: SmallDisk, tmp_path: Path) -> None:
    bench = disk.bench
    file = tmp_path / "new.json"
    file.write_text(json.dumps(records(3)), encoding="utf-8")
    before = sorted(bench.pool.rglob("*"))
    disk.remount("ro")
    failed = bench.adg("pool", "add", str(file))
    disk.remount("rw")
    assert failed.code == 1
    assert f"{bench.pool}: can't be written (Read-only file system)" in failed.err
    assert "Errno" not in failed.err
    assert sorted(bench.pool.rglob("*")) == before
