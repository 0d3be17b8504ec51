"""The benchmarks' data in a folder shaped like the hub's, which the harness reads without a network.

Each dataset is a folder ``owner/name`` of Parquet files with a card (``README.md``) that says which file is which split; the
``datasets`` library then takes it for the hub's when it is asked for that name from the folder above. ``prepared.json``
says what it was made from.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from adg_pipeline.errors import PipelineError
from adg_pipeline.host.files import publish_directory, write_atomically
from adg_pipeline.resources.evaluator.originals import READERS, Records, Splits

RECORD = "prepared.json"

# The newest revisions of November 2026; what is evaluated is these and no others.
REVISIONS = {
    "SaylorTwift/bbh": "b5306be6f827cfafbb545ff5a51f96916029b0fd",
    "openai/gsm8k": "740312add88f781978c0658806c59bc2815b9866",
    "cais/mmlu": "c30699e8356da336a370243923dbaf21066bb9fe",
    "truthfulqa/truthful_qa": "741b8276f2d1982aa3d5b832d3ee81ed3b896490",
    "google-research-datasets/mbpp": "4bb6404fdc6cacfda99d4ac4205087b89d32030c",
    "openai/openai_humaneval": "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
}

HUB_SECONDS = 10.0


class NoBenchmarks(PipelineError):
    """The data of a benchmark isn't where it is looked for; the message says where, and the mend."""


def prepare_from_folder(source: Path, target: Path, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Lay out what there is of the benchmarks' original files in a folder, and return the record of all that is prepared.

    source: a folder as the benchmarks' own repositories publish them: ``gsm8k/{train,test}.jsonl``, ``bbh/*.json``,
    ``mmlu/mmlu.zip``, ``truthfulqa/mc_task.json``, ``mbpp/mbpp.jsonl``, ``humaneval/HumanEval.jsonl.gz``.

    Raises NoBenchmarks where there is none of them, or one that isn't what it should be, naming file and record.
    """
    if not source.is_dir():
        raise NoBenchmarks(f"there is no folder {source.absolute()}")
    found = {}
    for dataset, read in READERS.items():
        splits = read(source)
        if splits is None:
            say(f"{dataset}: nothing of it in {source}")
            continue
        folder = target / dataset
        publish_directory(folder, lambda staging, splits=splits: _write(splits, staging))  # type: ignore[misc]
        counts = _counts(splits)
        found[dataset] = {"from": str(source.absolute()), "sha256": _digest(folder), "records": counts}
        say(f"{dataset}: " + ", ".join(f"{count:,} {split}" for split, count in counts.items()))
    if not found:
        raise NoBenchmarks(f"{source.absolute()} holds none of the benchmarks' files; docs/evaluation.md lists them")
    return _record(target, found)


def prepare_from_hub(target: Path, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Fetch the datasets from the hub, each at its pinned revision, and return the record of all that is prepared.

    Raises NoBenchmarks at once where the hub can't be reached.
    """
    import os

    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    mend = "name a folder with the benchmarks' files: `adg benchmarks prepare --from FOLDER`"
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise NoBenchmarks(f"HF_HUB_OFFLINE is set, so the hub isn't asked; {mend}")
    client_error: type[Exception] = HfHubHTTPError.__bases__[0]
    found = {}
    for dataset, revision in REVISIONS.items():
        try:
            HfApi().dataset_info(dataset, revision=revision, timeout=HUB_SECONDS)
            say(f"{dataset}: fetching revision {revision[:12]}")
            folder = target / dataset
            snapshot_download(
                dataset, repo_type="dataset", revision=revision, local_dir=folder,
                allow_patterns=["README.md", "*.parquet", "*.json", "*.jsonl"],
            )  # fmt: skip
        except (client_error, OfflineModeIsEnabled, OSError) as error:
            raise NoBenchmarks(
                f"{dataset}: the hub gave no answer ({' '.join(str(error).split())[:200]}); {mend}"
            ) from error
        found[dataset] = {"from": "hub", "revision": revision, "sha256": _digest(folder)}
    return _record(target, found)


def prepared(folder: Path) -> dict[str, dict[str, Any]]:
    """What is laid out in a folder: dataset → where it is from, and a hash of its files; empty where nothing is."""
    try:
        record: dict[str, dict[str, Any]] = json.loads((folder / RECORD).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise NoBenchmarks(f"{folder / RECORD}: damaged ({error}): run `adg benchmarks prepare` again") from error
    return record


def _record(target: Path, found: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    record = {**prepared(target), **found}

    def write(path: Path) -> None:
        path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    write_atomically(target / RECORD, write)
    return record


def _write(splits: Splits, folder: Path) -> None:
    """A dataset's files and its card. Parquet, since readers of JSON guess types: of an empty list, or of a date."""
    configs: dict[str, dict[str, Records]] = {}
    for (config, split), records in splits.items():
        configs.setdefault(config, {})[split] = records
    for config, by_split in configs.items():
        schema = pa.Table.from_pylist([record for records in by_split.values() for record in records]).schema
        (folder / config).mkdir()
        for split, records in by_split.items():
            pq.write_table(pa.Table.from_pylist(records, schema=schema), folder / config / f"{split}.parquet")
    files = {
        config: [{"split": split, "path": f"{config}/{split}.parquet"} for split in by_split]
        for config, by_split in configs.items()
    }
    card = {"configs": [{"config_name": name, "data_files": of} for name, of in files.items()]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card, sort_keys=False)}---\n", encoding="utf-8")


def _counts(splits: Splits) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (_, split), records in splits.items():
        counts[split] = counts.get(split, 0) + len(records)
    return counts


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
