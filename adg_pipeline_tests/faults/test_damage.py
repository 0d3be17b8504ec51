"""Damaged files of the store: named with the command that mends them, by `adg run` and by `adg status`."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from adg_pipeline.lineage.states import SHARD_ASSETS
from adg_pipeline.store.vectors import TABLES
from adg_pipeline_tests.faults.conftest import good_files, place_of
from adg_pipeline_tests.workbench import Workbench, records

PARQUET = [stage for stage in SHARD_ASSETS if stage not in TABLES]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete_as_told(bench: Workbench, error: str) -> None:
    """Do what the message says: "Delete the file" is the one it begins with, others are spelled out."""
    told = re.search(r"(\S+): damaged .*?Delete (the file|\S+)(?: and (\S+),|,)", error)
    assert told is not None, error
    for name in (told[1] if told[2] == "the file" else told[2], told[3]):
        if name is None:
            continue
        path = Path(name)
        assert path.is_relative_to(bench.store.root)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("stage", PARQUET)
def test_a_truncated_table_is_named_and_made_again_once_deleted(
    damaged: Workbench, finished: Workbench, stage: str
) -> None:
    path = place_of(damaged, stage, "b")
    truncate(path)
    before = good_files(damaged)

    failed = damaged.adg("run")
    assert failed.code == 1
    assert f"{path}: damaged" in failed.err
    assert "Traceback" not in failed.err
    assert good_files(damaged) == before

    rows = {row["shard"]: row for row in damaged.adg("status", "--json").json["shards"]}
    assert (rows["a"]["state"], rows["b"]["state"]) == ("current", "damaged")
    assert str(path) in rows["b"]["why"]
    assert rows["b"]["mend"] == f"`rm -r {shlex.quote(str(path))} && adg run`"

    delete_as_told(damaged, failed.err)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == finished.subset()
    after = good_files(damaged)
    assert {name for name in before if before[name] != after[name]} == {str(path.relative_to(damaged.store.root))}


def test_other_shards_are_computed_beside_a_damaged_one(damaged: Workbench) -> None:
    truncate(place_of(damaged, "generations", "b"))
    damaged.add("c", records(12, first=24))
    done = damaged.adg("run", "--json")
    assert done.code == 1
    assert done.json["shards_computed"] == ["c"]
    assert done.json["selected"] == {}
    rows = {row["shard"]: row["state"] for row in damaged.adg("status", "--json").json["shards"]}
    assert rows == {"a": "current", "b": "damaged", "c": "current"}


def damage_data_file(table: Path) -> None:
    truncate(sorted((table / "data").iterdir())[0])


def remove_data_file(table: Path) -> None:
    sorted((table / "data").iterdir())[0].unlink()


def damage_newest_manifest(table: Path) -> None:
    truncate(min(table.glob("_versions/*.manifest")))


def remove_versions(table: Path) -> None:
    shutil.rmtree(table / "_versions")


@pytest.mark.parametrize("harm", [damage_data_file, remove_data_file, damage_newest_manifest, remove_versions])
@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_vector_table_is_named_and_made_again_once_deleted(
    damaged: Workbench, finished: Workbench, table: str, harm: object
) -> None:
    path = place_of(damaged, table, "b")
    assert callable(harm)
    harm(path)
    before = good_files(damaged)

    failed = damaged.adg("run")
    assert failed.code == 1
    assert failed.err.count(f"{path}: damaged") == 1
    assert "Traceback" not in failed.err
    assert good_files(damaged) == before

    rows = damaged.adg("status", "--json").json["shards"]
    assert {row["state"] for row in rows} == {"damaged"}
    assert {row["mend"].startswith(f"`rm -r {path} ") for row in rows} == {True}

    answers = damaged.stamps("generations")
    delete_as_told(damaged, failed.err)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == finished.subset()
    assert damaged.stamps("generations") == answers


@pytest.mark.parametrize("harm", [damage_data_file, damage_newest_manifest])
def test_a_vector_table_that_is_damaged_while_it_is_needed_is_named_by_the_step(
    damaged: Workbench, finished: Workbench, harm: object
) -> None:
    """Met by a run from the page or a sensor, which doesn't look at the tables beforehand."""
    path = place_of(damaged, "answer_embeddings", "b")
    place_of(damaged, "divergence_scores", "b").unlink()
    assert callable(harm)
    harm(path)
    harm(path)
    with damaged.instance() as instance:
        assert not damaged.runner(instance).compute(["a", "b"])
    error = damaged.why_failed()
    assert f"{path}: damaged" in error
    assert "Traceback" not in error
    delete_as_told(damaged, error)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == finished.subset()


@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_record_of_vectors_costs_only_its_shard(damaged: Workbench, finished: Workbench, table: str) -> None:
    stamp = damaged.store.root / "lancedb" / "provenance" / table / "b.json"
    before = damaged.stamps(table)["a"]
    truncate(stamp)
    failed = damaged.adg("run")
    assert failed.code == 1
    assert f"{stamp}: damaged" in failed.err
    assert {row["shard"]: row["state"] for row in damaged.adg("status", "--json").json["shards"]} == {
        "a": "current",
        "b": "damaged",
    }
    delete_as_told(damaged, failed.err)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == finished.subset()
    assert damaged.stamps(table)["a"] == before


@pytest.mark.parametrize("name", ["subset.parquet", "subset.jsonl", "ranking.parquet", "manifest.json"])
def test_a_damaged_subset_is_named_and_selected_again_once_deleted(
    damaged: Workbench, finished: Workbench, name: str
) -> None:
    path = damaged.store.selection_dir("adg") / name
    truncate(path)
    failed = damaged.adg("run")
    assert failed.code == 1
    assert f"{path}: damaged" in failed.err
    assert "Traceback" not in failed.err
    delete_as_told(damaged, failed.err)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == finished.subset()


@pytest.mark.parametrize("name", ["centroids.safetensors", "manifest.json"])
def test_damaged_bins_are_named_when_the_pool_grows_and_made_again_once_deleted(
    damaged: Workbench, grown: Workbench, name: str
) -> None:
    path = damaged.store.bins.directory / name
    truncate(path)
    damaged.add("c", records(12, first=24))
    subset = damaged.subset()
    failed = damaged.adg("run")
    assert failed.code == 1
    assert f"{path}: damaged" in failed.err
    assert "Traceback" not in failed.err
    assert damaged.subset() == subset
    delete_as_told(damaged, failed.err)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == grown.subset()


def test_damaged_assignments_to_bins_are_named_by_the_next_selection(damaged: Workbench, finished: Workbench) -> None:
    path = damaged.store.bins.directory / "assignments.parquet"
    truncate(path)
    failed = damaged.adg("run", "--set", "selected_subset.weight=0.9")
    assert failed.code == 1
    assert f"{path}: damaged" in failed.err
    assert "Traceback" not in failed.err
    assert damaged.subset() == finished.subset()
    delete_as_told(damaged, failed.err)
    assert damaged.adg("run", "--set", "selected_subset.weight=0.9").code == 0
    assert damaged.adg("run", "--as-configured").code == 0
    assert damaged.subset() == finished.subset()


@pytest.mark.parametrize("stage", ["raw_pool", "divergence_scores"])
def test_a_table_with_a_whole_footer_over_damaged_pages_is_named_by_the_selection(
    damaged: Workbench, finished: Workbench, stage: str
) -> None:
    """What a footer doesn't show is found by whoever reads the pages."""
    path = place_of(damaged, stage, "b")
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 3] = bytes(len(data) // 3 - 4)
    path.write_bytes(data)
    failed = damaged.adg("run", "--set", "selected_subset.weight=0.41")
    assert failed.code == 1
    assert f"{path}: damaged" in failed.err
    assert "Traceback" not in failed.err
    assert damaged.subset() == finished.subset()
    delete_as_told(damaged, failed.err)
    assert damaged.adg("run").code == 0
    assert damaged.subset() == finished.subset()
