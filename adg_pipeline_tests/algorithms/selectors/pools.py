"""Candidates for tests of selectors: every signal there is, drawn from a seed."""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.algorithms.selectors import Candidates

K, DIMENSION, BINS = 5, 8, 4


def candidates(rows: int, seed: int = 0) -> Candidates:
    """Candidates sorted by id, with ties, gaps and signals on both sides of every threshold."""
    draw = np.random.default_rng(seed)
    answers = draw.standard_normal((rows, 1, DIMENSION)) + draw.uniform(0, 1, (rows, 1, 1)) * draw.standard_normal(
        (rows, K, DIMENSION)
    )
    spread = answer_divergence(answers).rounded(4)
    frame = pl.DataFrame(
        {
            "example_id": [f"ex-{row:04d}" for row in range(rows)],
            "bin": draw.integers(0, BINS, rows).astype(np.int32),
            "dispersion": spread.dispersion.round(2),
            "anisotropy": spread.anisotropy.round(2),
            "eigenvalues": spread.eigenvalues.tolist(),
            "mode_sizes": spread.mode_sizes.tolist(),
            "cosines": spread.cosines.reshape(rows, -1).tolist(),
            "answer_tokens": draw.integers(1, 200, rows).astype(float),
            "answer_logprob": draw.uniform(-2, 0, rows),
            "reference_tokens": draw.integers(1, 300, rows),
            "reference_logprob": draw.uniform(-5, 0, rows),
            "bare_logprob": draw.uniform(-5, 0, rows),
            "plain_logprob": draw.uniform(-3, 0, rows),
            "plain_bare_logprob": draw.uniform(-3, 0, rows),
            "sequence_logprob": draw.uniform(-3, 0, rows).round(1),
            "confident_surprise": draw.uniform(0, 1, rows).round(1),
            "noisy_ifd": draw.uniform(0.5, 1.2, rows).round(2),
            "selective_ifd": draw.uniform(0.2, 2, (rows, 3)).round(1).tolist(),
            "selective_ifd_spread": draw.uniform(0, 1, (rows, 3)).round(1).tolist(),
            "selective_tokens": [[30, number, 1] for number in draw.integers(2, 30, rows)],
            "ranker_score": draw.uniform(-1, 1, rows).round(1),
            "instruction": [f"Say {word} {number}" for number, word in enumerate(draw.choice(list("abcdef"), rows))],
            "input": [""] * rows,
            "output": [" ".join(draw.choice(["red", "green", "blue", "grey"], 12)) for _ in range(rows)],
        }
    )
    vectors = draw.standard_normal((rows, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centroids = draw.standard_normal((BINS, DIMENSION)).astype(np.float32)
    likeness = draw.uniform(-1, 1, (rows, 2)).round(1).astype(np.float32)
    given = [f"ex-{row:04d}" for row in draw.permutation(rows)[: max(1, rows // 2)]]
    return Candidates(frame, vectors, centroids, ["Say a red", "Say b blue"], likeness, given)
