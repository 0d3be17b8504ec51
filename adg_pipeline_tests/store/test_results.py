"""Benchmark results: what may be compared."""

import json
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.errors import StoreError
from adg_pipeline.store import Store
from adg_pipeline.store.results import NotComparable, Results, read_results, require_comparable

RECIPE = {
    "backend": "hf",
    "batch_size": 8,
    "limit": None,
    "versions": {"torch": "2.13.0"},
    "tasks": {"gsm8k": {"shots": 8}},
}


def results(device: str = "cpu", **changes: Any) -> Results:
    return Results(
        Path("nowhere"), {"recipe": {**RECIPE, **changes}, "device": device, "max_length": 2048, "limit": None}
    )


def test_results_that_were_got_alike_are_comparable() -> None:
    require_comparable({"adg": results(), "random": results(), "backbone": results()})


def test_every_setting_that_differs_is_named_with_whose_it_is() -> None:
    with pytest.raises(NotComparable) as told:
        require_comparable(
            {
                "adg": results(),
                "random": results(batch_size=16, versions={"torch": "2.14.0"}),
                "longest": results(device="NVIDIA H100", tasks={"gsm8k": {"shots": 5}}),
            }
        )
    for fault in (
        "batch_size is 8 of adg and longest, 16 of random",
        'versions.torch is "2.13.0" of adg and longest, "2.14.0" of random',
        'device is "cpu" of adg and random, "NVIDIA H100" of longest',
        "tasks.gsm8k.shots is 8 of adg and random, 5 of longest",
    ):
        assert fault in str(told.value)


def test_a_quick_look_is_never_compared_with_a_whole_evaluation_nor_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match="limit is null of adg, 20 of random"):
        require_comparable({"adg": results(), "random": results(limit=20)})
    store = Store(data_dir=str(tmp_path))
    assert store.results_dir("adg", 1, "paper") != store.results_dir("adg", 1, "paper", 20)


def test_damaged_results_are_named(tmp_path: Path) -> None:
    assert read_results(tmp_path) is None
    (tmp_path / "manifest.json").write_text(json.dumps({"recipe": RECIPE, "limit": None}))
    (tmp_path / "samples.parquet").write_text("no Parquet")
    found = read_results(tmp_path)
    assert found is not None
    with pytest.raises(StoreError, match=r"samples\.parquet: damaged"):
        found.samples()
