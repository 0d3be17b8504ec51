"""Dispersion and anisotropy of a published subset, as its file has them, beside ours: of answers that we sampled ourselves
(the store at hand), and of the very answers in the file, if it has them, which leaves only the embedding and the arithmetic.

    python -m benchmarks.published_scores FILE [--settings adg.yaml] [--data data]

A record's numbers are taken by their names, its answers as the list of texts that it has. Which of the numbers is which isn't
taken for granted: each is set against D, I and the score, and the one that fits shows itself.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from adg_pipeline.algorithms.divergence import adg_score, answer_divergence
from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.assets.given import records_found
from adg_pipeline.resources.embedders import open_embedder
from adg_pipeline.settings.loading import load_settings
from adg_pipeline.store import Store, default_data_dir

OURS = ("dispersion", "anisotropy", "score")
BATCH = 256


def records_of(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON array or of JSON lines."""
    text = path.read_text("utf-8")
    rows = json.loads(text) if text.lstrip().startswith("[") else map(json.loads, filter(None, text.splitlines()))
    return [dict(row) for row in rows]


def numbers_of(records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """(N,) of each field that is a number in every record, whatever record of records it stands in."""
    flat = [dict(_numbers(record)) for record in records]
    shared = set.intersection(*map(set, flat))
    return {name: np.array([one[name] for one in flat], dtype=np.float64) for name in sorted(shared)}


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)


def answers_of(records: Sequence[Mapping[str, Any]]) -> list[list[str]] | None:
    """K texts of each record: the field that is a list of two texts or more, as many in all; None where there is none."""
    for name, value in records[0].items():
        if isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value):
            found = [record.get(name) for record in records]
            if all(isinstance(one, list) and len(one) == len(value) for one in found):
                return found  # type: ignore[return-value]
    return None


def compared(theirs: Mapping[str, np.ndarray], ours: pl.DataFrame) -> list[str]:
    """A Markdown row per number of theirs: rank correlation and mean absolute difference with each of ours."""
    rows = []
    for name, values in theirs.items():
        cells = []
        for own in OURS:
            mine = ours[own].to_numpy()
            same = f"{float(spearmanr(values, mine).statistic):.3f}" if len(set(values)) > 1 < len(set(mine)) else "–"
            cells.append(f"{same} (off by {np.abs(values - mine).mean():.4f})")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def with_score(dispersion: np.ndarray, anisotropy: np.ndarray, weight: float) -> pl.DataFrame:
    score = adg_score(dispersion, anisotropy, weight)
    return pl.DataFrame({"dispersion": dispersion, "anisotropy": anisotropy, "score": score})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "file", type=Path, help="JSON or JSON lines: records with their scores, perhaps with their answers"
    )
    parser.add_argument("--settings", help="whose embedder reads the answers; adg.yaml if not given")
    parser.add_argument("--data", default=default_data_dir(), help="the store whose scores are compared")
    parser.add_argument("--weight", type=float, default=0.4, help="of anisotropy in the score")
    asked = parser.parse_args(arguments)
    records = records_of(asked.file)
    theirs, answers = numbers_of(records), answers_of(records)
    heading = ["| theirs | our D | our I | our score |", "|---|---|---|---|"]
    print(f"{len(records):,} records of {asked.file.name}, with {', '.join(theirs) or 'no numbers'}.\n")

    store = Store(data_dir=asked.data)
    shards = store.shards("divergence_scores")
    placed = records_found(store, shards, asked.file)[0].drop_nulls("found")
    stored = store.scan("divergence_scores", shards).select("example_id", "dispersion", "anisotropy").collect()
    ours = placed.join(stored.drop_nulls().unique("example_id"), left_on="found", right_on="example_id").sort("row")
    print(f"Of answers that we sampled: {ours.height:,} of them are in the pool at hand and scored.\n")
    if ours.height > 1:
        rows = ours["row"].to_numpy() - 1
        own = with_score(ours["dispersion"].to_numpy(), ours["anisotropy"].to_numpy(), asked.weight)
        print("\n".join([*heading, *compared({name: values[rows] for name, values in theirs.items()}, own)]) + "\n")

    if answers is None:
        print("The file has no sampled answers.")
        return
    settings = load_settings(asked.settings)
    found = []
    with open_embedder(settings.embeddings, settings.generations.backbone, settings.generations.revision) as embedder:
        for start in range(0, len(records), BATCH):
            part = slice(start, start + BATCH)
            instructions = [user_turn(record["instruction"], record.get("input") or "") for record in records[part]]
            divergence = answer_divergence(embedder.embed_answers(instructions, answers[part]))
            found.append(divergence.rounded(settings.divergence_scores.decimals))
    dispersion, anisotropy = (np.concatenate([getattr(one, name) for one in found]) for name in OURS[:2])
    print(f"Of the {len(answers[0])} answers in the file, by {settings.embeddings.embedder}:\n")
    print("\n".join([*heading, *compared(theirs, with_score(dispersion, anisotropy, asked.weight))]))


if __name__ == "__main__":
    main()
