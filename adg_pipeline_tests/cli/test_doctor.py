"""`adg doctor` says what would fail before it does, goes on after a look that breaks, and creates nothing."""

import os
from pathlib import Path

import pytest

from adg_pipeline.orchestration import doctor
from adg_pipeline_tests.workbench import Workbench, records


def looks(bench: Workbench, *arguments: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for row in bench.adg("doctor", "--json", *arguments).json:
        found.setdefault(row["what"], []).append((row["state"], row["told"]))
    return found


def test_before_anything_is_there_it_says_so_and_creates_nothing(bench: Workbench) -> None:
    bench.pool.rmdir()
    bench.pool.parent.rmdir()
    done = bench.adg("doctor")
    assert done.code == 0, done.err
    assert "adg pool add" in done.out
    assert not (bench.folder / "data").exists()
    assert not (bench.folder / "dagster").exists()


def test_what_would_fail_is_told_with_its_setting_and_exits_with_1(bench: Workbench) -> None:
    bench.add("a", records(3))
    flags = ["--set", "generations.engine=vllm", "--set", "generations.backbone=/none/llama"]
    done = bench.adg("doctor", *flags)
    assert done.code == 1
    assert "FAILS" in done.out
    found = looks(bench, *flags)
    told = " ".join(text for state, text in found["settings"] if state == "fails")
    assert "/none/llama" in told
    assert found["pool"][0][1].startswith("1 shards in ")
    assert found["template"][0][0] == "fails"


def test_a_look_that_breaks_does_not_keep_the_others_from_looking(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise KeyError("no driver")

    monkeypatch.setattr(doctor, "visible_gpus", broken)
    found = looks(bench)
    assert found["GPU"] == [("fails", "the look itself broke: KeyError: 'no driver'")]
    assert {"python", "data", "pool", "settings", "template", "instance", "benchmarks"} <= found.keys()


def test_a_folder_that_cannot_be_written_and_a_gate_that_is_shut_are_told(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, data = os.access, bench.pool.parent

    def access(path: Path, mode: int) -> bool:
        return Path(path) != data and real(path, mode)

    monkeypatch.setattr(os, "access", access)  # root may write everywhere
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    found = looks(bench, "--set", "benchmark_results.run_code=true")
    assert found["data"][0][0] == "fails"
    assert "ADG_DATA_DIR" in found["data"][0][1]
    assert any("HF_ALLOW_CODE_EVAL" in text for state, text in found["benchmarks"] if state == "warning")


def test_after_a_run_it_knows_the_instance(bench: Workbench, tmp_path: Path) -> None:
    bench.add("a", records(12))
    assert bench.adg("run").code == 0
    ((state, told),) = looks(bench)["instance"]
    assert state == "ok" or "concurrency" in told
    assert "RunStorage" in told
