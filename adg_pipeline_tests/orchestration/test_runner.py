"""Runs that `adg` starts: none fails without a word."""

from collections.abc import Iterator

import pytest
from dagster._core.executor.in_process import InProcessExecutor

from adg_pipeline.orchestration.runner import Runner
from adg_pipeline.settings.loading import load_settings
from adg_pipeline_tests.workbench import Workbench, records


def test_a_run_that_fails_before_any_step_says_why(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> Iterator[object]:
        raise OSError("the disk has gone away")
        yield

    bench.add("a", records(1))
    said: list[str] = []
    monkeypatch.setattr(InProcessExecutor, "execute", fails)
    with bench.instance() as instance:
        runner = Runner(bench.store, load_settings(bench.folder / "adg.yaml"), instance, said.append)
        runner.register(["a"])
        assert not runner.compute(["a"])
    assert any(
        "the run of shards failed outside its steps" in text and "the disk has gone away" in text for text in said
    )
