"""Semantic bins: k-means over instruction embeddings, so that the subset keeps the pool's mix of topics."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adg_pipeline.algorithms.draws import uniform_draws

Vectors = NDArray[np.floating]

STARTS_LIMIT = 400_000  # examples × bins up to which every start is run to its end, which takes seconds
START_EXAMPLES = 10  # per bin; among so many the starts of a larger pool are looked for
SETTLED = 1e-3  # share of the pool's variance; when a pass gains less, that run ends
DISTANCE_DECIMALS = 9  # squared distances equal to this many decimals are a tie; float64 rounding is far below


def bin_count(examples: int, bins: int, examples_per_bin: int) -> int:
    """Bins for a pool of this size: at most ``bins``, at least one, and on average ``examples_per_bin`` in each."""
    return max(1, min(bins, examples // examples_per_bin))


class FitSample:
    """Examples that centroids are fitted on: ``size`` of them at random by a hash of the id, all if there are fewer.

    Ids are added a batch at a time, in any order; one that comes again counts once. Of each that was seen 8 bytes are held.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._drawn: list[pl.DataFrame] = []
        self._least = 1.0  # of draws that can't be among the first any more
        self._hashes: list[pl.Series] = []

    def add(self, ids: pl.Series) -> None:
        """Look at a batch of ids."""
        new = ids.unique()
        self._hashes.append(new.hash())
        drawn = pl.DataFrame({"example_id": new, "draw": uniform_draws(new, self._seed)})
        self._drawn.append(drawn.filter(pl.col("draw") < self._least))
        if sum(part.height for part in self._drawn) > 2 * self._size:
            self._keep_first()

    def _keep_first(self) -> None:
        first = pl.concat(self._drawn).unique().sort("draw", "example_id").head(self._size)
        self._drawn = [first]
        if first.height == self._size:
            self._least = float(first["draw"][-1])

    @property
    def ids(self) -> pl.Series:
        """The sample."""
        self._keep_first()
        return self._drawn[0]["example_id"]

    @property
    def examples(self) -> int:
        """Different ids in all."""
        return pl.concat(self._hashes).n_unique()


def fit_centroids(
    vectors: Vectors, ids: Sequence[str], n_bins: int, *, seed: int = 42, n_init: int = 3, max_iter: int = 100
) -> NDArray[np.float32]:
    """Centroids of ``n_bins`` clusters by k-means, (C, d).

    The same for any order of the rows, which are sorted by id first. There are never more centroids than distinct
    vectors. A large pool is run over once, from the best of the starts: it settles within a few passes, where mini-batches
    take longer and end farther from its rows (benchmarks.bins).

    Args:
        vectors: (N, d) instruction embeddings, N ≥ 1, finite.
        ids: (N,) their example ids.
        n_bins: centroids wanted.
        seed: seed of the starting centroids.
        n_init: starts by k-means++, the best of which is kept.
        max_iter: passes over the data at most.
    """
    if not len(vectors):
        raise ValueError("there are no vectors to fit centroids on")
    ordered = np.asarray(vectors, dtype=np.float32)[np.argsort(np.asarray(ids))]
    if not np.isfinite(ordered).all():
        raise ValueError("vectors hold NaN or infinity: leave those examples out before fitting centroids")
    distinct = np.unique(ordered, axis=0)
    if len(distinct) <= n_bins:
        return distinct
    from sklearn.cluster import KMeans, kmeans_plusplus
    from threadpoolctl import threadpool_limits

    # Threads add their partial sums in whatever order they finish, which moves centroids; here they cost time as well.
    with threadpool_limits(1):
        if len(ordered) * n_bins <= STARTS_LIMIT:
            best = KMeans(n_bins, random_state=seed, n_init=n_init, max_iter=max_iter).fit(ordered)
            return best.cluster_centers_
        # In float64, which scikit-learn would turn float32 into at every step.
        some = np.random.default_rng(seed).permutation(len(ordered))[: START_EXAMPLES * n_bins]
        sample = ordered[np.sort(some)].astype(np.float64)
        starts = [kmeans_plusplus(sample, n_bins, random_state=seed + start)[0] for start in range(n_init)]
    spreads = [mean_squared_distance(sample, start, assign(sample, start)) for start in starts]
    return _lloyd(ordered, starts[int(np.argmin(spreads))].astype(np.float32), max_iter)


def _lloyd(vectors: NDArray[np.float32], centroids: NDArray[np.float32], max_iter: int) -> NDArray[np.float32]:
    """k-means from these centroids. `assign`, and sums in the rows' order, let no thread move the result."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    variance = float(np.mean(np.einsum("nd,nd->n", vectors, vectors), dtype=np.float64) - mean @ mean)
    for _ in range(max_iter):
        bins = assign(vectors, centroids)
        order, members = np.argsort(bins, kind="stable"), np.bincount(bins, minlength=len(centroids))
        moved = centroids.copy()  # one that nobody is near any more stays where it is
        for number, rows in enumerate(np.split(order, np.cumsum(members)[:-1])):
            if len(rows):
                moved[number] = vectors[rows].mean(axis=0, dtype=np.float64)
        # By so much the step lowers the mean squared distance.
        gain = members @ ((moved.astype(np.float64) - centroids) ** 2).sum(axis=1) / len(vectors)
        centroids = moved
        if gain <= SETTLED * variance:
            break
    return centroids


def assign(vectors: Vectors, centroids: Vectors, *, chunk: int = 1024, threads: int | None = None) -> NDArray[np.int32]:
    """Bin of each vector, (N,): its nearest centroid, the lowest-numbered of equally near ones.

    Distances are told apart in float32 where they differ by more than its rounding can, and in float64 where they don't:
    an example's bin doesn't depend on the rows that it is computed with.

    Args:
        vectors: (N, d), finite.
        centroids: (C, d).
        chunk: rows whose distances are held at once, per thread.
        threads: as many as there are cores if None. The result doesn't depend on it.
    """
    from threadpoolctl import threadpool_limits

    right = np.asarray(centroids, dtype=np.float64)
    offsets = np.einsum("cd,cd->c", right, right)
    # |v|² is the same for all centroids. What is left of a squared distance is one product with (v, 1).
    with np.errstate(over="ignore"):
        factors = np.concatenate([-2.0 * right.T, offsets[None]]).astype(np.float32)
    farthest = float(np.sqrt(offsets.max(initial=0.0)))
    # Twice the bound on the rounding of a product of d + 1 terms, and of its factors (Higham, Accuracy and Stability, 3.1).
    rounding = 2.0 * 2.0 * (right.shape[1] + 4) * (np.finfo(np.float32).eps / 2)
    tie = 2.0 * 10.0**-DISTANCE_DECIMALS
    bins = np.empty(len(vectors), dtype=np.int32)
    own = local()  # buffers of a thread

    def fill(rows: slice) -> None:
        if not hasattr(own, "left"):
            own.left = np.ones((chunk, len(factors)), dtype=np.float32)
            own.distances = np.empty((chunk, len(right)), dtype=np.float32)
        count = rows.stop - rows.start
        left, distances = own.left[:count], own.distances[:count]
        with np.errstate(over="ignore", invalid="ignore"):
            left[:, :-1] = vectors[rows]
            np.matmul(left, factors, out=distances)
            nearest = distances.argmin(axis=1)
            length = np.sqrt(np.einsum("nd,nd->n", left, left))
            bound = distances[np.arange(count), nearest] + (rounding * farthest * (length + farthest) + tie)
        # None are where float32 can't hold the numbers, several where it can't tell them apart.
        unsure = np.flatnonzero(np.count_nonzero(distances <= bound[:, None], axis=1) != 1)
        if len(unsure):
            exact = offsets - 2.0 * (np.asarray(vectors[rows][unsure], dtype=np.float64) @ right.T)
            nearest[unsure] = exact.round(DISTANCE_DECIMALS).argmin(axis=1)
        bins[rows] = nearest

    # Each thread multiplies by itself: BLAS's own would wait for each other at every product.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        list(pool.map(fill, _chunks(len(vectors), chunk)))
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
