"""Semantic bins against scikit-learn's MiniBatchKMeans, which the released code uses: fitting, how good, and assigning.

Both fit on the same rows and assign all of them. Vectors lie about three topics a bin, as far from their topic as
embeddings of instructions do.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.algorithms.bins import assign, fit_centroids, mean_squared_distance
from adg_pipeline.settings.sections import BinConfig
from benchmarks.result import Result, arguments, best_seconds, report

ROWS, DIMENSION, BINS = 1_000_000, 384, 1000


def about_topics(rows: int, topics: int, seed: int = 0) -> NDArray[np.float32]:
    """(rows, 384) unit vectors."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((topics, DIMENSION), dtype=np.float32)
    vectors = generator.standard_normal((rows, DIMENSION), dtype=np.float32)
    vectors += centres[generator.integers(0, topics, rows)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def run(rows: int = ROWS, bins: int = BINS) -> list[Result]:
    from sklearn.cluster import MiniBatchKMeans

    settings = BinConfig()
    vectors = about_topics(rows, 3 * bins)
    fitted_on = vectors[: settings.fit_sample]
    ids = [f"{row:08d}" for row in range(len(fitted_on))]
    theirs = MiniBatchKMeans(
        bins, batch_size=1024, random_state=settings.seed, n_init=settings.n_init, max_iter=settings.max_iter
    )
    their_fit, _ = _timed(lambda: theirs.fit(fitted_on))
    our_fit, centroids = _timed(
        lambda: fit_centroids(
            fitted_on, ids, bins, seed=settings.seed, n_init=settings.n_init, max_iter=settings.max_iter
        )
    )
    theirs.cluster_centers_ = theirs.cluster_centers_.astype(np.float32)
    their_assign, their_bins = _timed(lambda: theirs.predict(vectors))
    our_assign, our_bins = _timed(lambda: assign(vectors, centroids))
    their_spread = mean_squared_distance(vectors, theirs.cluster_centers_, their_bins)
    our_spread = mean_squared_distance(vectors, centroids, our_bins)
    product = vectors[:8192] @ centroids.T
    product_seconds = best_seconds(lambda: np.matmul(vectors[:8192], centroids.T, out=product))
    size = f"{rows:,} x {DIMENSION}, {bins:,} bins"
    return [
        Result(
            "bins, fit", len(fitted_on) / our_fit, "rows/s", len(fitted_on) / their_fit, goal=3.0,
            note=f"{our_fit:.1f} s on {len(fitted_on):,} of {size}, against MiniBatchKMeans; mean squared distance "
            f"{our_spread:.4f} against {their_spread:.4f} ({our_spread / their_spread - 1:+.1%})",
        ),
        Result(
            "bins, assign", rows / our_assign, "rows/s", rows / their_assign, goal=1.0, limit=8192 / product_seconds,
            note=f"{our_assign:.1f} s for {size}, against its predict; the limit is one float32 product",
        ),
    ]  # fmt: skip


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--bins", type=int, default=BINS)
    options = parser.parse_args()
    report(run(options.rows, options.bins), as_json=options.json)
