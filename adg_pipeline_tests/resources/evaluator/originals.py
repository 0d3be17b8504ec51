"""A few questions of each benchmark in its own files, as its authors publish them: made up, with the real ones' traps."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

BBH = ("boolean_expressions", "snarks")


def write_originals(folder: Path) -> Path:
    """A folder as `adg benchmarks prepare --from` takes it."""
    sums = [
        {"question": f"What is {n} + {n}?", "answer": f"It is {n} + {n} = {2 * n}.\n#### {2 * n}"} for n in range(12)
    ]
    _lines(folder / "gsm8k" / "train.jsonl", sums)
    _lines(folder / "gsm8k" / "test.jsonl", sums[:3])
    for name in BBH:
        examples = [{"input": f"{name} {n}?", "target": "(A)"} for n in range(3)]
        _write(folder / "bbh" / f"{name}.json", json.dumps({"canary": "x", "examples": examples}))
    rows = 'What is nothing?,None,N/A,0,"one\r\nor two",A\r\nWhat comes after?,1,2,3,4,C\r\n'
    (folder / "mmlu").mkdir()
    with zipfile.ZipFile(folder / "mmlu" / "mmlu.zip", "w") as archive:
        for split in ("test", "dev", "val"):
            archive.writestr(f"data/{split}/anatomy_{split}.csv", rows)
    targets = {"Yes, it is.": 1, "No.": 0, "Maybe.": 0}
    asked = [{"question": f"Is {n} a number?", "mc1_targets": targets, "mc2_targets": targets} for n in range(3)]
    _write(folder / "truthfulqa" / "mc_task.json", json.dumps(asked))
    _lines(folder / "mbpp" / "mbpp.jsonl", [_problem(task_id) for task_id in (1, 10, 11, 510, 511, 601)])
    function = {
        "task_id": "HumanEval/0", "prompt": "def twice(x):\n", "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n", "entry_point": "twice",
    }  # fmt: skip
    (folder / "humaneval").mkdir()
    with gzip.open(folder / "humaneval" / "HumanEval.jsonl.gz", "wt") as file:
        file.write(json.dumps(function) + "\n")
    return folder


def _problem(task_id: int) -> dict[str, Any]:
    tests = [f"assert add_{task_id}({n}) == {n + task_id}" for n in range(3)]
    return {
        "task_id": task_id, "text": f"Add {task_id}.", "code": f"def add_{task_id}(x):\r\n    return x + {task_id}",
        "test_setup_code": "", "test_list": tests, "challenge_test_list": [],
    }  # fmt: skip


def _lines(path: Path, records: list[dict[str, Any]]) -> None:
    _write(path, "".join(json.dumps(record) + "\n" for record in records))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class AnswerKey:
    """A model of the harness that knows every answer, and gives it where the task lets a model give it."""

    rank, world_size, max_length = 0, 1, 2048

    def __init__(self) -> None:
        self.asked = 0

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        self.asked += len(requests)
        return [_answer(request.doc) for request in requests]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        self.asked += len(requests)
        return [(0.0, True) if _is_right(request.doc, request.idx) else (-100.0, False) for request in requests]


def _answer(document: dict[str, Any]) -> str:
    for known in ("canonical_solution", "code", "answer"):
        if known in document:
            return str(document[known])
    return f"So the answer is {document['target']}."


def _is_right(document: dict[str, Any], choice: int) -> bool:
    if "mc2_targets" in document:
        return bool(document["mc2_targets"]["labels"][choice])
    return bool(document["answer"] == choice)
