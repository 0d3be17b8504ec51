"""What status says of subsets and checkpoints: which subset a checkpoint is of, what differs, and the mend."""

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adg_pipeline.host.files import publish_directory
from adg_pipeline.lineage.in_force import InForce, settings_in_force
from adg_pipeline.lineage.states import SelectionInputs, selection_key
from adg_pipeline.orchestration.subset_status import _why_stale, checkpoint_rows, subset_row
from adg_pipeline.resources.trainer.examples import subset_fingerprint
from adg_pipeline.store import Store
from adg_pipeline.store.selections import write_manifest

INPUTS = SelectionInputs({"a": "1"}, {"a": "2"}, {"recipe": ["a"]}, {})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("ADG_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return Store(data_dir=str(tmp_path / "data"))


def publish(store: Store, in_force: InForce, *ids: str) -> dict[str, Any]:
    """Publish the subset that these settings ask for; its manifest."""
    settings = in_force.settings
    rows = [
        {"example_id": one, "instruction": one, "input": "", "output": "x", "messages": None, "tools": ""}
        for one in ids
    ]
    manifest: dict[str, Any] = {
        "arm": "adg",
        "key": selection_key("adg", settings.semantic_bins.recipe(), settings.selected_subset.recipe(), INPUTS),
        "config": settings.selected_subset.model_dump(mode="json"),
        "kept": {},
        "bins": {"recipe": settings.semantic_bins.recipe()},
        "shards": {"a": {"divergence_scores": "1", "instruction_embeddings": "2"}},
        "counts": {"selected": len(ids)},
        "made_at": "2026-01-01",
    }

    def fill(folder: Path) -> None:
        pl.DataFrame(rows, schema_overrides={"messages": pl.List(pl.Struct({"role": pl.String}))}).write_parquet(
            folder / "subset.parquet"
        )
        sums = {"subset.parquet": hashlib.sha256((folder / "subset.parquet").read_bytes()).hexdigest()}
        write_manifest(folder, {**manifest, "files_sha256": sums})

    publish_directory(store.selection_dir("adg"), fill)
    return store.selection_manifest("adg") or {}


def train(store: Store, in_force: InForce, manifest: dict[str, Any]) -> None:
    """Leave the record of a training on the subset at hand."""
    job = {
        "config": in_force.settings.finetuned_checkpoint.model_dump(mode="json"),
        "provenance": {"selection": manifest},
        "subset_fingerprint": subset_fingerprint(store.selection_dir("adg") / "subset.parquet"),
    }
    folder = store.checkpoint_dir("adg", 42)
    folder.mkdir(parents=True)
    record = {"job": job, "examples": 2, "finished_at": "2026-01-02"}
    (folder / "training_manifest.json").write_text(json.dumps(record))


def test_a_checkpoint_of_another_subset_says_so_with_the_mend(store: Store) -> None:
    in_force = settings_in_force(store, "adg")
    assert list(checkpoint_rows(store, "adg", in_force)) == []
    train(store, in_force, publish(store, in_force, "x", "y"))
    (row,) = checkpoint_rows(store, "adg", in_force)
    assert (row["state"], row["why"], row["mend"]) == ("current", "", "")

    publish(store, in_force, "x", "z")
    (other,) = checkpoint_rows(store, "adg", in_force)
    assert (other["state"], other["mend"]) == ("other subset", "`adg run --train`")
    assert other["subset"] == row["subset"]
    assert other["subset"] in other["why"]


def test_a_checkpoint_trained_otherwise_is_stale(store: Store) -> None:
    in_force = settings_in_force(store, "adg")
    train(store, in_force, publish(store, in_force, "x", "y"))
    longer = settings_in_force(store, "adg", {"finetuned_checkpoint.epochs=9": "--set finetuned_checkpoint.epochs=9"})
    (row,) = checkpoint_rows(store, "adg", longer)
    assert (row["state"], row["why"]) == ("stale", "finetuned_checkpoint.epochs 5.0 → 9.0")


def test_a_subset_says_why_it_is_not_current(store: Store) -> None:
    in_force = settings_in_force(store, "adg")
    assert subset_row(store, "adg", in_force, INPUTS)["state"] == "missing"
    publish(store, in_force, "x", "y")
    assert subset_row(store, "adg", in_force, INPUTS)["state"] == "current"

    budget = settings_in_force(store, "adg", {"selected_subset.budget=4": "--budget 4"})
    grown = SelectionInputs({"a": "3", "b": "1"}, {"a": "2", "b": "2"}, {"recipe": ["a", "b"]}, {})
    row = subset_row(store, "adg", budget, grown)
    assert row["state"] == "stale"
    assert row["why"].split("; ") == [
        "selected_subset.budget 10000 → 4",
        "1 shards came, such as b",
        "1 shards were scored anew, such as a",
    ]

    (store.selection_dir("adg") / "manifest.json").write_text("{")
    damaged = subset_row(store, "adg", in_force, INPUTS)
    assert damaged["state"] == "damaged"
    assert damaged["mend"] == f"`rm -r {store.selection_dir('adg')} && adg run`"


def test_an_edited_query_file_makes_a_subset_stale_where_it_is_read(store: Store) -> None:
    queries = Path("queries.jsonl")
    queries.write_text("{}")
    flags = {f"selected_subset.queries={queries}": "--set"}
    for selector, why in (("dsir", ["the file of selected_subset.queries holds other examples"]), ("zip", [])):
        in_force = settings_in_force(store, "adg", {f"selected_subset.selector={selector}": "--set", **flags})
        made = publish(store, in_force, "x")
        assert list(_why_stale(made, in_force, INPUTS)) == []
        queries.write_text(selector)
        assert list(_why_stale(made, in_force, INPUTS)) == why
