"""benchmark_results in the graph: a checkpoint of an arm and seed is asked, and what came of it is shown."""

import json
import shutil

import dagster as dg

from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline_tests.workbench import Workbench, records


def test_a_checkpoint_of_an_arm_and_seed_is_evaluated(bench: Workbench) -> None:
    bench.add("a", records(1))  # `adg status` wants a pool
    bench.settings["benchmark_results"] = {"suite": "embedded", "batch_size": 64, "threads": 1}
    bench.write_settings()
    checkpoint = bench.store.new_checkpoint_dir("adg", 3)
    shutil.copytree(EMBEDDED_FOLDER, checkpoint)
    job = {"config": {}, "provenance": {}, "subset_fingerprint": "x"}
    record = {"seed": 3, "job": job, "job_fingerprint": "first", "examples": 1, "finished_at": "2026-01-02"}
    (checkpoint / "training_manifest.json").write_text(json.dumps(record))

    missing = bench.adg("evaluate", "--arm", "adg", "--seed", "4", "--limit", "1")
    assert missing.code == 1
    assert "there is no checkpoint of adg with seed 4" in missing.err

    done = bench.adg("evaluate", "--arm", "adg", "--seed", "3", "--limit", "1", "--json")
    assert done.code == 0, done.err
    found = done.json["results"]["adg, seed 3"]
    assert (found["limit"], found["folder"]) == (1, str(bench.store.results_dir("adg", 3, "embedded", 1)))
    assert {row["benchmark"]: row["questions"] for row in found["figures"]} == {
        "known_skills": "8 of 192",
        "barely_known_skills": "8 of 192",
        "Avg.": "16 of 384",
    }
    with bench.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("benchmark_results"))
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    assert materialization.partition == "adg|3"
    assert "a quick look" in str(materialization.metadata["quick_look"].value)

    (row,) = bench.adg("status", "--json").json["results"]
    assert (row["seed"], row["suite"], row["limit"], row["state"]) == (3, "embedded", 1, "current")
    (checkpoint / "training_manifest.json").write_text(json.dumps({**record, "job_fingerprint": "second"}))
    (row,) = bench.adg("status", "--json").json["results"]
    assert (row["state"], row["mend"]) == ("other checkpoint", "`adg evaluate --arm adg --seed 3`")
