"""Benchmark results in the store: a folder with samples, figures and a record, published as a whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from adg_pipeline.errors import PipelineError
from adg_pipeline.store.selections import damaged, read_manifest
from adg_pipeline.store.tables import UNREADABLE

# What an evaluation found beside what it was asked: where `auto` led.
_FOUND = ("device", "dtype", "max_length")


class NotComparable(PipelineError):
    """Results that were got in different ways; the message names every setting in which they differ."""


@dataclass(frozen=True)
class Results:
    """Published results of one model.

    Attributes:
        folder: Where they lie.
        manifest: Their record: ``recipe`` (how they were got), ``model``, ``suite``, ``limit``, ``device``, ``seconds``.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def limit(self) -> int | None:
        """Questions that a quick look asked of each task and subtask; None where all were asked."""
        found: int | None = self.manifest["limit"]
        return found

    def samples(self) -> pl.DataFrame:
        """A row per question, filter and metric: task, subtask, doc_id, doc_hash, prompt_hash, target_hash, filter, metric,
        value, target, response.
        """
        return self._read("samples.parquet")

    def headline_samples(self) -> pl.DataFrame:
        """Of `samples` those of each task's headline: one row per question."""
        headlines = pl.DataFrame(
            [{key: task[key] for key in ("task", "filter", "metric")} for task in self.manifest["suite"]["tasks"]]
        )
        return self.samples().join(headlines, on=["task", "filter", "metric"], how="semi")

    def summary(self) -> pl.DataFrame:
        """A row per figure: kind (task, group, average), name, filter, metric, value, stderr, questions, of, headline."""
        return self._read("summary.parquet")

    def _read(self, name: str) -> pl.DataFrame:
        path = self.folder / name
        try:
            return pl.read_parquet(path, glob=False)
        except (*UNREADABLE, FileNotFoundError) as error:
            raise damaged(path, str(error).splitlines()[0]) from error


def results_name(suite: str, limit: int | None) -> str:
    """Folder of a suite's results; a quick look has one of its own, so that it replaces no whole evaluation."""
    return suite if limit is None else f"{suite}-first{limit}"


def read_results(folder: Path) -> Results | None:
    """The results published in a folder; None where there are none. Raises StoreError if they are damaged."""
    manifest = read_manifest(folder)
    return None if manifest is None else Results(folder, manifest)


def require_comparable(results: Mapping[str, Results]) -> None:
    """Raise NotComparable unless all were got in the same way: backend, type, batches, versions, data, questions, machine.

    results: by the name that they are told by. The models may differ, of course.
    """
    ways = {name: _way(of) for name, of in results.items()}
    faults = []
    for setting in sorted({setting for way in ways.values() for setting in way}):
        values: dict[str, list[str]] = {}
        for name, way in ways.items():
            values.setdefault(json.dumps(way.get(setting)), []).append(name)
        if len(values) > 1:
            faults.append(
                f"{setting} is " + ", ".join(f"{value} of {' and '.join(of)}" for value, of in values.items())
            )
    if faults:
        raise NotComparable(
            f"these results were got in different ways, so their difference would say nothing: {'; '.join(faults)}. "
            "Evaluate them again with the same settings, or leave some out"
        )


def _way(results: Results) -> dict[str, Any]:
    """How results were got, by dotted names."""
    way = dict(_leaves(results.manifest["recipe"]))
    return way | {name: results.manifest.get(name) for name in _FOUND}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found
