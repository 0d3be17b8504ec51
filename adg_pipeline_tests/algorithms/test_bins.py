"""Semantic bins: as many as the pool bears, the same for any order of rows, kept until there is a reason."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adg_pipeline.algorithms import bins as bins_module
from adg_pipeline.algorithms.bins import (
    FitSample,
    assign,
    bin_count,
    fit_centroids,
    mean_squared_distance,
    refit_reason,
)
from adg_pipeline.algorithms.draws import uniform_draws

KEPT: dict[str, Any] = {
    "fitted_examples": 1000,
    "fitted_distance": 0.4,
    "examples": 1500,
    "distance": 0.45,
    "refit": False,
    "refit_drift": 0.15,
    "refit_growth": 2.0,
}


def topics(count: int, of: int = 6, dimension: int = 16) -> tuple[NDArray[np.float32], list[str]]:
    """Unit vectors about a few directions, and ids whose order is not that of the rows."""
    generator = np.random.default_rng(5)
    centres = np.random.default_rng(6).standard_normal((of, dimension))
    vectors = centres[generator.integers(0, of, count)] + 0.1 * generator.standard_normal((count, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"ex-{number}" for number in generator.permutation(count)]


@pytest.mark.parametrize(
    ("examples", "expected"), [(0, 1), (1, 1), (99, 1), (3000, 60), (52_002, 1000), (10_000_000, 1000)]
)
def test_small_pools_get_fewer_bins(examples: int, expected: int) -> None:
    assert bin_count(examples, bins=1000, examples_per_bin=50) == expected


@pytest.mark.parametrize("starts_limit", [10**9, 0])
def test_centroids_do_not_depend_on_the_order_of_rows(monkeypatch: pytest.MonkeyPatch, starts_limit: int) -> None:
    monkeypatch.setattr(bins_module, "STARTS_LIMIT", starts_limit)
    vectors, ids = topics(400)
    rows = np.random.default_rng(1).permutation(400)
    centroids = fit_centroids(vectors, ids, 6, seed=3)
    assert centroids.shape == (6, 16)
    assert centroids.dtype == np.float32
    np.testing.assert_array_equal(centroids, fit_centroids(vectors[rows], [ids[row] for row in rows], 6, seed=3))


def test_topics_apart_get_bins_of_their_own() -> None:
    vectors, ids = topics(400)
    centroids = fit_centroids(vectors, ids, 6)
    found = assign(vectors, centroids)
    assert np.unique(found).tolist() == list(range(6))
    assert mean_squared_distance(vectors, centroids, found) < 0.05


@pytest.mark.parametrize("of", [20, 40, 120])
def test_one_run_over_a_large_pool_fits_as_well_as_the_mini_batches_of_the_paper(
    monkeypatch: pytest.MonkeyPatch, of: int
) -> None:
    from sklearn.cluster import MiniBatchKMeans

    monkeypatch.setattr(bins_module, "STARTS_LIMIT", 0)
    vectors, ids = topics(4000, of)
    ours = fit_centroids(vectors, ids, 40)
    theirs = MiniBatchKMeans(40, n_init=3, max_iter=100, batch_size=1024, random_state=42).fit(vectors).cluster_centers_
    spreads = [mean_squared_distance(vectors, found, assign(vectors, found)) for found in (ours, theirs)]
    assert spreads[0] <= 1.02 * spreads[1]


def test_a_pool_smaller_than_its_bins_gets_one_bin_a_vector() -> None:
    vectors, ids = topics(3)
    assert len(fit_centroids(vectors, ids, 10)) == 3
    assert len(fit_centroids(np.repeat(vectors[:1], 50, axis=0), [str(row) for row in range(50)], 10)) == 1


def test_vectors_that_cannot_be_fitted_are_refused() -> None:
    with pytest.raises(ValueError, match="no vectors"):
        fit_centroids(np.zeros((0, 4), np.float32), [], 2)
    with pytest.raises(ValueError, match="NaN"):
        fit_centroids(np.full((3, 4), np.nan, np.float32), ["a", "b", "c"], 2)


@given(st.integers(0, 50), st.integers(1, 8), st.integers(1, 20))
def test_each_vector_goes_to_its_nearest_centroid_whatever_the_chunks(rows: int, count: int, chunk: int) -> None:
    generator = np.random.default_rng(rows)
    vectors, centroids = generator.standard_normal((rows, 5)), generator.standard_normal((count, 5))
    found = assign(vectors, centroids, chunk=chunk)
    distances = ((vectors[:, None] - centroids) ** 2).sum(axis=2)
    np.testing.assert_array_equal(found, distances.argmin(axis=1))
    assert found.dtype == np.int32
    expected = distances.min(axis=1).mean() if rows else 0.0
    assert mean_squared_distance(vectors, centroids, found, chunk=chunk) == pytest.approx(expected)


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-9, 1e-7, 1e-5, 1e-3])
@pytest.mark.parametrize("scale", [1e-20, 1e-5, 1.0, 1e19])
def test_near_ties_and_numbers_beyond_float32_are_decided_in_float64(gap: float, scale: float) -> None:
    """A bin doesn't depend on the rows beside it, however near two centroids are: neither on chunks nor on threads."""
    generator = np.random.default_rng(0)
    vectors = scale * generator.standard_normal((200, 24))
    centroids = np.repeat(scale * generator.standard_normal((5, 24)), 2, axis=0)
    centroids[1::2] += gap * scale
    right = np.einsum("cd,cd->c", centroids, centroids) - 2.0 * vectors @ centroids.T
    expected = right.round(bins_module.DISTANCE_DECIMALS).argmin(axis=1)
    for chunk, threads in [(200, 1), (7, 3), (1, 1)]:
        np.testing.assert_array_equal(assign(vectors, centroids, chunk=chunk, threads=threads), expected)


def test_equally_near_centroids_give_the_lowest_bin() -> None:
    assert assign(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])).tolist() == [0]


def test_sample_for_the_fit_is_chosen_by_id_not_by_position() -> None:
    ids = [f"ex-{row}" for row in range(500)]
    draws = uniform_draws(ids, 1)
    first = {ids[row] for row in np.argsort(draws)[:100]}
    for order in (ids, ids[::-1]):
        for batch in (1, 7, 130, 500):
            sample = FitSample(100, seed=1)
            for start in range(0, 500, batch):
                sample.add(pl.Series(order[start : start + batch]))
                sample.add(pl.Series(order[start : start + 3]))  # an example that stands in two shards counts once
            assert set(sample.ids) == first
            assert len(sample.ids) == 100
            assert sample.examples == 500
    small = FitSample(500, seed=1)
    small.add(pl.Series(ids))
    assert set(small.ids) == set(ids)


def test_draws_are_uniform_and_change_with_the_seed() -> None:
    ids = [f"ex-{row}" for row in range(20_000)]
    draws = uniform_draws(ids, 42)
    assert ((draws >= 0) & (draws < 1)).all()
    assert np.histogram(draws, 10, (0, 1))[0] == pytest.approx(2000, rel=0.1)
    assert abs(np.corrcoef(draws, uniform_draws(ids, 43))[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"fitted_examples": None}, "no centroids yet"),
        ({"refit": True}, "asked for"),
        ({"examples": 2000}, "grew from 1,000 to 2,000 examples"),
        ({"distance": 0.461}, "grew from 0.4000 to 0.4610"),
    ],
)
def test_centroids_stay_until_there_is_a_reason(change: dict[str, Any], reason: str | None) -> None:
    found = refit_reason(**(KEPT | change))
    assert (found is None) if reason is None else (found is not None and reason in found)
