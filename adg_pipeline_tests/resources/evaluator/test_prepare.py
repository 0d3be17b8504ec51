"""The benchmarks' data: laid out as the hub has them, without a change to what is asked."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from adg_pipeline.errors import PipelineError
from adg_pipeline.resources.evaluator.prepare import NoBenchmarks, prepare_from_folder, prepare_from_hub, prepared
from adg_pipeline_tests.resources.evaluator.originals import write_originals


def silent(text: str) -> None:
    """Nobody listens."""


@pytest.fixture
def laid_out(tmp_path: Path) -> Path:
    prepare_from_folder(write_originals(tmp_path / "originals"), tmp_path / "data", silent)
    return tmp_path / "data"


def test_every_benchmark_is_laid_out_with_its_splits(laid_out: Path) -> None:
    counts = {name: of["records"] for name, of in prepared(laid_out).items()}
    assert counts == {
        "SaylorTwift/bbh": {"test": 6},
        "openai/gsm8k": {"train": 12, "test": 3},
        "cais/mmlu": {"dev": 2, "test": 2, "validation": 2},
        "truthfulqa/truthful_qa": {"validation": 3},
        "google-research-datasets/mbpp": {"prompt": 2, "test": 2, "validation": 1, "train": 1},
        "openai/openai_humaneval": {"test": 1},
    }
    card = (laid_out / "SaylorTwift/bbh/README.md").read_text().split("---")[1]
    assert [config["config_name"] for config in yaml.safe_load(card)["configs"]] == ["boolean_expressions", "snarks"]


def test_choices_that_look_like_nothing_stay_text(laid_out: Path) -> None:
    (first, _) = pq.read_table(laid_out / "cais/mmlu/anatomy/test.parquet").to_pylist()
    assert first["choices"] == ["None", "N/A", "0", "one\r\nor two"]
    assert first["answer"] == 0


def test_what_was_prepared_is_known_by_its_content(laid_out: Path, tmp_path: Path) -> None:
    prepare_from_folder(tmp_path / "originals", tmp_path / "again", silent)
    sums = [{name: of["sha256"] for name, of in prepared(folder).items()} for folder in (laid_out, tmp_path / "again")]
    assert sums[0] == sums[1]


def _cut(folder: Path) -> None:
    path = folder / "gsm8k" / "test.jsonl"
    path.write_text(path.read_text() + '{"question": "cut o')


def _no_answer(folder: Path) -> None:
    (folder / "gsm8k" / "test.jsonl").write_text('{"question": "?", "answer": "!"}\n{"question": "?"}\n')


def _not_gzip(folder: Path) -> None:
    (folder / "humaneval" / "HumanEval.jsonl.gz").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_cut, r"gsm8k/test\.jsonl: after 3 records"),
        (_no_answer, r"gsm8k/test\.jsonl: record 2: lacks answer"),
        (_not_gzip, r"HumanEval\.jsonl\.gz: after 0 records"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[Path], None], told: str) -> None:
    originals = write_originals(tmp_path / "originals")
    damage(originals)
    with pytest.raises(PipelineError, match=told):
        prepare_from_folder(originals, tmp_path / "data", silent)


def test_an_empty_folder_and_a_hub_out_of_reach_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoBenchmarks, match="holds none of the benchmarks' files"):
        prepare_from_folder(tmp_path, tmp_path / "data", silent)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NoBenchmarks, match="adg benchmarks prepare --from FOLDER"):
        prepare_from_hub(tmp_path / "data", silent)
