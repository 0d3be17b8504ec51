"""Semantic bins: k-means over instruction embeddings, so that the subset keeps the pool's mix of topics."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.algorithms.draws import uniform_draws

Vectors = NDArray[np.floating]

LLOYD_LIMIT = 400_000  # examples × bins up to which full k-means takes seconds; it fits better than mini-batches
MINI_BATCH = 1024
DISTANCE_DECIMALS = 9  # squared distances equal to this many decimals are a tie; float64 rounding is far below


def bin_count(examples: int, bins: int, examples_per_bin: int) -> int:
    """Bins for a pool of this size: at most ``bins``, at least one, and on average ``examples_per_bin`` in each."""
    return max(1, min(bins, examples // examples_per_bin))


def fit_sample(ids: Sequence[str], size: int, seed: int) -> NDArray[np.int64]:
    """Rows that centroids are fitted on: ``size`` of them at random by a hash of the id, all if there are fewer."""
    if len(ids) <= size:
        return np.arange(len(ids))
    return np.sort(np.argpartition(uniform_draws(ids, seed), size)[:size])


def fit_centroids(
    vectors: Vectors, ids: Sequence[str], n_bins: int, *, seed: int = 42, n_init: int = 3, max_iter: int = 100
) -> NDArray[np.float32]:
    """Centroids of ``n_bins`` clusters, (C, d): mini-batch k-means as in the paper, full k-means on small pools.

    The same for any order of the rows, which are sorted by id first. There are never more centroids than distinct
    vectors.

    Args:
        vectors: (N, d) instruction embeddings, N ≥ 1, finite.
        ids: (N,) their example ids.
        n_bins: centroids wanted.
        seed: seed of the starting centroids and of the mini-batches.
        n_init: starts, the best of which is kept.
        max_iter: passes over the data at most.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    if not len(vectors):
        raise ValueError("there are no vectors to fit centroids on")
    ordered = np.asarray(vectors, dtype=np.float32)[np.argsort(np.asarray(ids))]
    if not np.isfinite(ordered).all():
        raise ValueError("vectors hold NaN or infinity: leave those examples out before fitting centroids")
    distinct = np.unique(ordered, axis=0)
    if len(distinct) <= n_bins:
        return distinct
    settings = {"n_clusters": n_bins, "random_state": seed, "n_init": n_init, "max_iter": max_iter}
    if len(ordered) * n_bins > LLOYD_LIMIT:
        return MiniBatchKMeans(**settings, batch_size=MINI_BATCH).fit(ordered).cluster_centers_
    # The threads of full k-means add their partial sums in whatever order they finish, which moves centroids.
    with threadpool_limits(1, user_api="openmp"):
        return KMeans(**settings).fit(ordered).cluster_centers_


def assign(vectors: Vectors, centroids: Vectors, *, chunk: int = 8192) -> NDArray[np.int32]:
    """Bin of each vector, (N,): its nearest centroid, the lowest-numbered of equally near ones.

    In float64, so that an example's bin doesn't depend on the rows that it is computed with.
    """
    bins = np.empty(len(vectors), dtype=np.int32)
    right = np.asarray(centroids, dtype=np.float64)
    offsets = np.einsum("cd,cd->c", right, right)
    for rows in _chunks(len(vectors), chunk):
        # |v|² is the same for all centroids.
        distances = offsets - 2.0 * (np.asarray(vectors[rows], dtype=np.float64) @ right.T)
        bins[rows] = distances.round(DISTANCE_DECIMALS).argmin(axis=1)
    return bins


def mean_squared_distance(
    vectors: Vectors, centroids: Vectors, bins: NDArray[np.integer], *, chunk: int = 8192
) -> float:
    """Mean squared distance of vectors to the centroids of their bins; 0 if there are none."""
    total = 0.0
    for rows in _chunks(len(vectors), chunk):
        away = np.asarray(vectors[rows], dtype=np.float64) - centroids[bins[rows]]
        total += float(np.einsum("nd,nd->", away, away))
    return total / len(vectors) if len(vectors) else 0.0


def refit_reason(
    *,
    fitted_examples: int | None,
    fitted_distance: float | None,
    examples: int,
    distance: float,
    refit: bool,
    refit_drift: float,
    refit_growth: float,
) -> str | None:
    """Why centroids have to be fitted anew, in words; None if they stay.

    Args:
        fitted_examples: size of the pool when centroids were fitted; None if there are none yet.
        fitted_distance: mean squared distance to the centroids then.
        examples: size of the pool now.
        distance: mean squared distance now.
        refit: asked for.
        refit_drift: share by which the distance may have grown.
        refit_growth: factor by which the pool may have grown.
    """
    if fitted_examples is None or fitted_distance is None:
        return "no centroids yet"
    if refit:
        return "asked for (refit)"
    if examples >= refit_growth * fitted_examples:
        return f"the pool grew from {fitted_examples:,} to {examples:,} examples (refit_growth {refit_growth:g})"
    if distance > (1.0 + refit_drift) * fitted_distance:
        return (
            f"the mean squared distance to the centroids grew from {fitted_distance:.4f} to {distance:.4f} "
            f"(refit_drift {refit_drift:g})"
        )
    return None


def _chunks(rows: int, size: int) -> Iterator[slice]:
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))
