"""From a checkpoint back to file and record."""

import json
import shutil
from pathlib import Path

import pytest

from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.orchestration.runner import RunReport
from adg_pipeline_tests.trials import Rehearsal
from adg_pipeline_tests.workbench import Workbench


def test_each_example_that_a_checkpoint_learnt_is_found_in_its_file_wherever_the_folder_lies(
    ready: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ready.environment().items():
        monkeypatch.setenv(name, value)
    with ready.instance() as instance:
        trainer = Rehearsal(ready.store, settings_in_force(ready.store, "adg"), instance, lambda text: None)
        trainer.done = []
        trainer.train(RunReport(), 42)
    moved = tmp_path / "elsewhere"
    shutil.copytree(ready.store.checkpoint_dir("adg", 42), moved)
    chosen = ready.subset()
    record = json.loads((moved / "training_manifest.json").read_text())
    record["left_out"] = {"longer than max_length": [chosen[2]]}
    (moved / "training_manifest.json").write_text(json.dumps(record))

    told = ready.adg("explain", str(moved), "--json").json
    assert [example["example_id"] for example in told["examples"]] == [*chosen[:2], *chosen[3:]]
    for example in told["examples"]:
        line = (ready.pool / example["file"]).read_text().splitlines()[example["record"] - 1]
        explained = ready.adg("explain", example["example_id"], "--json").json
        assert json.loads(line)["instruction"] == explained["record"]["instruction"]
    assert (told["arm"], told["seed"], told["sampled_anew"]) == ("adg", 42, [])
    assert sum(of["examples"] for of in told["files"].values()) == len(chosen) - 1
    assert chosen[2] in told["left_out"]["longer than max_length"]
    printed = ready.adg("explain", str(moved))
    assert "examples: 11, the best first" in printed.out

    # Another subset came, and those before it aren't kept: what there was is told, not guessed.
    ready.adg("run", "--budget", "5", "--set", "selected_subset.history=0")
    gone = ready.adg("explain", str(moved))
    assert gone.code == 1
    assert f"the subset {told['subset']} of adg, which it learnt from, is no longer in" in gone.err
    (moved / "training_manifest.json").write_text("{")
    assert "training_manifest.json: damaged" in ready.adg("explain", str(moved)).err
