"""The demo as a user runs it."""

from pathlib import Path

import polars as pl
import pytest

from adg_pipeline.demo import run
from adg_pipeline.demo.names import ADG, GROUNDED, RANDOM


def kinds(data: Path, arm: str) -> dict[str, int]:
    subset = pl.read_parquet(data / "selections" / arm / "subset.parquet", columns=["source"])
    return dict(subset["source"].str.split("/").list.first().value_counts().rows())


@pytest.mark.slow
def test_the_demo_compares_three_subsets_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("ADG_DATA_DIR", "ADG_CONFIG", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")  # the demo sets them: as they were afterwards
    monkeypatch.setattr(run, "SEEDS", (1, 0))
    text = run.run_demo(tmp_path / "demo", print)
    capfd.readouterr()
    picked = {arm: kinds(tmp_path / "demo" / "data", arm) for arm in (ADG, GROUNDED, RANDOM)}
    assert {sum(of.values()) for of in picked.values()} == {160}
    # Known by the backbone are 55% of the pool: a random subset has as many, the others next to none.
    assert picked[RANDOM]["known"] > 60
    assert max(picked[ADG].get("known", 0), picked[GROUNDED].get("known", 0)) < 10
    assert picked[GROUNDED]["barely-known"] > 2 * picked[ADG]["barely-known"]
    assert "whole pool" in text
    assert "shards computed: skills-05 of 5" in text
    assert (tmp_path / "demo" / "report.png").is_file()
    assert (tmp_path / "demo" / "data" / "checkpoints" / ADG / "42" / "training_manifest.json").is_file()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(run.PipelineError, match="holds files that are not the demo's"):
        run.run_demo(tmp_path, print)
