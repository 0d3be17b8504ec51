"""The benchmarks' original files, as their authors publish them, read into the records that the hub's datasets hold."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adg_pipeline.errors import PipelineError

Records = list[dict[str, Any]]
#: (configuration, split) → records.
Splits = dict[tuple[str, str], Records]


class UnreadableBenchmark(PipelineError):
    """A file that isn't what it should be; the message names it and the record."""


def _gsm8k(source: Path) -> Splits | None:
    files = {split: source / "gsm8k" / f"{split}.jsonl" for split in ("train", "test")}
    if not files["test"].is_file():
        return None
    return {("main", split): _json_lines(path, ("question", "answer")) for split, path in files.items()}


def _bbh(source: Path) -> Splits | None:
    files = sorted((source / "bbh").glob("*.json"))
    if not files:
        return None
    return {(path.stem, "test"): _checked(path, _json(path)["examples"], ("input", "target")) for path in files}


def _mmlu(source: Path) -> Splits | None:
    path = source / "mmlu" / "mmlu.zip"
    if not path.is_file():
        return None
    splits: Splits = {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            folder, _, file = name.rpartition("/")
            split = folder.rpartition("/")[2]
            if split not in ("test", "dev", "val") or not file.endswith(".csv"):
                continue
            subject = file.removesuffix(".csv").removesuffix(f"_{split}")
            rows = list(csv.reader(io.StringIO(archive.read(name).decode("utf-8"), newline="")))
            key = (subject, "validation" if split == "val" else split)
            splits[key] = [_mmlu_record(f"{path}, {name}", number, row, subject) for number, row in enumerate(rows, 1)]
    return splits


def _mmlu_record(place: str, number: int, row: list[str], subject: str) -> dict[str, Any]:
    if len(row) != 6 or row[5] not in ("A", "B", "C", "D"):
        raise UnreadableBenchmark(
            f"{place}: record {number}: a question has four choices and one of A to D, not {row[1:]}"
        )
    return {"question": row[0], "subject": subject, "choices": row[1:5], "answer": "ABCD".index(row[5])}


def _truthfulqa(source: Path) -> Splits | None:
    path = source / "truthfulqa" / "mc_task.json"
    if not path.is_file():
        return None
    records = _checked(path, _json(path), ("question", "mc1_targets", "mc2_targets"))

    def targets(of: dict[str, int]) -> dict[str, list[Any]]:
        return {"choices": list(of), "labels": list(of.values())}

    rows = [
        {"question": one["question"], **{key: targets(one[key]) for key in ("mc1_targets", "mc2_targets")}}
        for one in records
    ]
    return {("multiple_choice", "validation"): rows}


# Task ids of each split, by the benchmark's own paper.
_MBPP_SPLITS = {"prompt": (1, 10), "test": (11, 510), "validation": (511, 600), "train": (601, 974)}


def _mbpp(source: Path) -> Splits | None:
    path = source / "mbpp" / "mbpp.jsonl"
    if not path.is_file():
        return None
    records = _json_lines(path, ("task_id", "text", "code", "test_list"))
    return {
        ("full", split): [record for record in records if first <= record["task_id"] <= last]
        for split, (first, last) in _MBPP_SPLITS.items()
    }


def _humaneval(source: Path) -> Splits | None:
    path = source / "humaneval" / "HumanEval.jsonl.gz"
    if not path.is_file():
        return None
    return {("openai_humaneval", "test"): _json_lines(path, ("task_id", "prompt", "test", "entry_point"))}


READERS: dict[str, Callable[[Path], Splits | None]] = {
    "SaylorTwift/bbh": _bbh,
    "openai/gsm8k": _gsm8k,
    "cais/mmlu": _mmlu,
    "truthfulqa/truthful_qa": _truthfulqa,
    "google-research-datasets/mbpp": _mbpp,
    "openai/openai_humaneval": _humaneval,
}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableBenchmark(f"{path}: {error}") from error


def _json_lines(path: Path, keys: tuple[str, ...]) -> Records:
    records: Records = []
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            records.extend(json.loads(line) for line in file if line.strip())
    except (OSError, EOFError, ValueError) as error:
        raise UnreadableBenchmark(f"{path}: after {len(records)} records: {error}") from error
    return _checked(path, records, keys)


def _checked(path: Path, records: Any, keys: tuple[str, ...]) -> Records:
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict) or (missing := [key for key in keys if key not in record]):
            lacks = ", ".join(missing) if isinstance(record, dict) else "keys: it is no object"
            raise UnreadableBenchmark(f"{path}: record {number}: lacks {lacks}")
    return list(records)
