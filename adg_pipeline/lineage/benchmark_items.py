"""Questions and right answers of benchmarks, as what a pool may not hold.

A place is a folder as the benchmarks' own repositories publish them, one that `adg benchmarks prepare` filled, or a file in
any pool format. Of the benchmarks that are known by name those questions are taken that an evaluation asks; of a file all.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from adg_pipeline.algorithms.contamination import Item
from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.errors import PipelineError
from adg_pipeline.formats.convert import PoolFileError, read_whole
from adg_pipeline.formats.staging import sha256_of
from adg_pipeline.resources.evaluator.originals import READERS, Records
from adg_pipeline.store.provenance import digest

Record = Mapping[str, Any]


class NoItems(PipelineError):
    """There is nothing of a benchmark where it is looked for."""


def _right(choices: Mapping[str, Any]) -> str:
    return "\n".join(text for text, label in zip(choices["choices"], choices["labels"], strict=True) if label)


#: Data set → the split that is asked, and question and answer of its records.
ASKED: dict[str, tuple[str, Callable[[Record], tuple[str, str]]]] = {
    "SaylorTwift/bbh": ("test", lambda one: (one["input"], one["target"])),
    "openai/gsm8k": ("test", lambda one: (one["question"], one["answer"])),
    "cais/mmlu": ("test", lambda one: (one["question"], one["choices"][one["answer"]])),
    "truthfulqa/truthful_qa": ("validation", lambda one: (one["question"], _right(one["mc1_targets"]))),
    "google-research-datasets/mbpp": ("test", lambda one: (one["text"], one["code"])),
    "openai/openai_humaneval": ("test", lambda one: (one["prompt"], one.get("canonical_solution") or "")),
}


def benchmark_items(place: str) -> list[Item]:
    """The items of a place, in its order. Raises NoItems, and PipelineError with file and record for what can't be read."""
    path = Path(place)
    if path.is_dir():
        found = [*_of_folder(path)]
        if not found:
            raise NoItems(
                f"{path.absolute()} holds none of the benchmarks: name the folder that `adg benchmarks prepare` takes or "
                "fills, or a file in any pool format"
            )
        return found
    if not path.is_file():
        raise NoItems(f"there is no file or folder {path.absolute()}")
    return [*_of_file(path)]


def _of_folder(folder: Path) -> Iterator[Item]:
    for dataset, (split, read) in ASKED.items():
        for config, records in _records(folder, dataset, split):
            for number, record in enumerate(records, start=1):
                question, answer = read(record)
                name = f"{config}/{split}/{number}" if config != "main" else f"{split}/{number}"
                yield Item(dataset, name, question, answer)


def _records(folder: Path, dataset: str, split: str) -> Iterator[tuple[str, Records]]:
    """Of each configuration of a data set."""
    prepared = folder / dataset
    if prepared.is_dir():
        for file in sorted(prepared.glob(f"*/{split}.parquet")):
            yield file.parent.name, pq.read_table(file).to_pylist()
        return
    splits = READERS[dataset](folder)
    for (config, of), records in (splits or {}).items():
        if of == split:
            yield config, records


def _of_file(path: Path) -> Iterator[Item]:
    try:
        records, _ = read_whole(path)
    except PoolFileError as error:
        # No fault of the shard at hand, which would be put aside for it.
        raise NoItems(f"fingerprints.benchmarks: {error}") from error
    for number, instruction, given, answer in records.select("row", "instruction", "input", "output").iter_rows():
        yield Item(path.name, f"record {number}", user_turn(instruction, given), answer)


def items_digest(place: str) -> str:
    """What a place holds, told by the content of its files. Raises NoItems where there is nothing."""
    path = Path(place)
    if not path.exists():
        raise NoItems(f"there is no file or folder {path.absolute()}")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    known = [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return _digest(tuple(known))


@lru_cache(maxsize=16)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    """A look every few seconds must not read hundreds of megabytes: files of the same time and size are the same."""
    return digest([sha256_of(Path(name)) for name, *_ in files])
