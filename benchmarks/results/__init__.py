"""What the benchmarks found: a JSON file each for CPUs and GPUs, by benchmark, with date, machine and versions."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from adg_pipeline.host.files import write_atomically
from benchmarks.result import Result

FOLDER = Path(__file__).resolve().parent
CPU, GPU = FOLDER / "cpu.json", FOLDER / "gpu.json"
PACKAGES = ("dagster", "lancedb", "numpy", "polars", "pyarrow", "scikit-learn", "torch", "transformers", "vllm")


def keep(file: Path, benchmark: str, results: Sequence[Result]) -> None:
    """Note the results of a benchmark, in place of those it had."""
    kept = read(file)
    kept[benchmark] = {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "results": [result.record() for result in results],
    }
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    write_atomically(file, lambda staged: staged.write_text(text, encoding="utf-8"))


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
