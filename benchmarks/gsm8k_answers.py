"""Does divergence predict disagreement? Four models' real answers to each of GSM8K's 1,319 test questions, each marked right
or wrong: are the questions on which the marks differ those whose answers lie far apart?

    python -m benchmarks.gsm8k_answers FILE > benchmarks/gsm8k_answers.md

Area under the ROC curve (0.5: no better than a coin), with a 95% interval by a bootstrap over questions. The four are two
sizes and two trainings of a model, not samples of one: it tests the measure, not the selection.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from adg_pipeline.algorithms.divergence import adg_score, answer_divergence
from adg_pipeline.algorithms.length_control import length_residual
from adg_pipeline.resources.embedders import SentenceTransformerEmbedder
from benchmarks.result import machine_facts

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
RESAMPLES = 2000

Floats = NDArray[np.float64]


def area(values: Floats, found: NDArray[np.bool_]) -> float:
    """Chance that one that is to be found has the higher value; ties count half."""
    ranks = rankdata(values)
    positive = int(found.sum())
    return float((ranks[found].sum() - positive * (positive + 1) / 2) / (positive * (len(found) - positive)))


def interval(values: Floats, found: NDArray[np.bool_]) -> tuple[float, float, float]:
    draw = np.random.default_rng(0)
    areas = []
    for _ in range(RESAMPLES):
        rows = draw.integers(0, len(values), len(values))
        areas.append(area(values[rows], found[rows]))
    return area(values, found), *(float(end) for end in np.quantile(areas, [0.025, 0.975]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSON lines: question, and per model is_correct and solution")
    rows = [json.loads(line) for line in parser.parse_args().file.read_text("utf-8").splitlines()]
    answers = [[row[model]["solution"] for model in MODELS] for row in rows]
    right = np.array([[row[model]["is_correct"] for model in MODELS] for row in rows])
    with SentenceTransformerEmbedder() as embedder:
        vectors = embedder.embed_answers([row["question"] for row in rows], answers)
    divergence = answer_divergence(vectors)
    lengths = np.array([np.mean([len(text) for text in of]) for of in answers])
    score = adg_score(divergence.dispersion, divergence.anisotropy)
    signals = {
        "dispersion D": divergence.dispersion,
        "anisotropy I": divergence.anisotropy,
        "score 0.6 D + 0.4 I": score,
        "the score, controlled for length": length_residual(score, lengths),
        "mean length of the answers": lengths,
    }
    mixed, wrong = right.any(axis=1) & ~right.all(axis=1), ~right.any(axis=1)
    print(f"{machine_facts()}. {len(rows):,} questions, packaged all-MiniLM-L6-v2.\n")
    print(f"Marks differ on {mixed.mean():.1%}; all four are wrong on {wrong.mean():.1%}.\n")
    print("| signal | finds where the marks differ | finds those where not all are right |")
    print("|---|---|---|")
    for name, values in signals.items():
        cells = [interval(values, found) for found in (mixed, mixed | wrong)]
        print(f"| {name} | {' | '.join(f'{mean:.3f} ({low:.3f} to {high:.3f})' for mean, low, high in cells)} |")


if __name__ == "__main__":
    main()
