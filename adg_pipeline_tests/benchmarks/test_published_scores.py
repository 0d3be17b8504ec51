"""A subset with its scores and answers, as somebody publishes one, set against ours."""

import json
from pathlib import Path

import polars as pl
import pytest

from adg_pipeline_tests.workbench import Workbench, records
from benchmarks.published_scores import main


def test_scores_of_the_same_answers_agree_and_the_field_that_fits_shows_itself(
    bench: Workbench, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("a", records(20))
    with bench.instance() as instance:
        runner = bench.runner(instance)
        runner.register(["a"])
        assert runner.compute(["a"], ["raw_pool", "generations", "answer_embeddings", "divergence_scores"])
    table = pl.read_parquet(bench.store.table_path("raw_pool", "a"))
    for asset in ("generations", "divergence_scores"):
        others = pl.read_parquet(bench.store.table_path(asset, "a"))
        fresh = [name for name in others.columns if name not in table.columns]
        table = table.join(others.select("example_id", *fresh), on="example_id")
    # Under names of its own, in another order.
    published = [
        {
            "instruction": row["instruction"], "input": row["input"], "output": row["output"], "generated": row["answers"],
            "Sc": {"SED": row["anisotropy"], "cov_trace": row["dispersion"]},
            "combined_score": 0.6 * row["dispersion"] + 0.4 * row["anisotropy"],
        }
        for row in table.reverse().iter_rows(named=True)
    ]  # fmt: skip
    path = Path(bench.folder) / "published.json"
    path.write_text(json.dumps(published))
    for name, value in bench.environment().items():
        monkeypatch.setenv(name, value)
    capfd.readouterr()
    main([str(path)])
    told = capfd.readouterr().out
    sampled, in_file = told.split("Of the 5 answers in the file, by hidden_state:")
    for part in (sampled, in_file):
        fits = {line.split("|")[1].strip(): line.split("|")[2:5] for line in part.splitlines() if "off by" in line}
        assert set(fits) == {"Sc.SED", "Sc.cov_trace", "combined_score"}
        for name, column in (("Sc.cov_trace", 0), ("Sc.SED", 1), ("combined_score", 2)):
            correlation, _, off = fits[name][column].strip(" )").partition(" (off by ")
            assert float(correlation) > 0.999
            assert float(off) < 0.0002
