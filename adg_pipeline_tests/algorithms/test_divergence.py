"""Dispersion and anisotropy of answers: the paper's figures, and what must hold for any answers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adg_pipeline.algorithms import divergence
from adg_pipeline.algorithms.divergence import Divergence, adg_score, answer_divergence, gram_divergence

GOLDENS = ("divergence_k5.npz", "divergence_k3.npz")
shapes = st.tuples(st.integers(1, 40), st.integers(2, 10), st.integers(8, 40))
seeds = st.integers(0, 2**32 - 1)


def drawn(shape: tuple[int, int, int], seed: int) -> NDArray[np.float64]:
    """Answers around a common direction, from nearly equal to unrelated."""
    generator = np.random.default_rng(seed)
    rows, _, dimension = shape
    spread = 10.0 ** generator.uniform(-2, 1, (rows, 1, 1))
    return generator.standard_normal((rows, 1, dimension)) + spread * generator.standard_normal(shape)


def assert_same(one: Divergence, other: Divergence) -> None:
    np.testing.assert_allclose(one.dispersion, other.dispersion, atol=1e-10)
    np.testing.assert_allclose(one.anisotropy, other.anisotropy, atol=1e-8)
    np.testing.assert_array_equal(one.modes, other.modes)


def by_formula(answers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    unit = answers / np.linalg.norm(answers, axis=2, keepdims=True)
    centred = unit - unit.mean(axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(centred @ centred.transpose(0, 2, 1)).clip(0)
    total = eigenvalues.sum(axis=1)
    return total / answers.shape[1], 1 - eigenvalues[:, -1] / total, total**2 / (eigenvalues**2).sum(axis=1)


@pytest.mark.parametrize("name", GOLDENS)
def test_it_gives_the_released_figures_but_for_their_float32_rounding(shared: Path, name: str) -> None:
    golden = np.load(shared / "goldens" / name)
    result = answer_divergence(golden["answers"])
    np.testing.assert_allclose(result.dispersion, golden["dispersion"], rtol=0, atol=1e-6)
    # 1e-7 of rounding in the squared distances is 1e-7 / D in the share that the first axis has of them.
    spread = golden["dispersion"] > 0
    rounding = 1e-7 / golden["dispersion"][spread]
    assert (np.abs(result.anisotropy - golden["anisotropy"])[spread] <= 1e-6 + rounding).all()
    assert (result.anisotropy[~spread] == golden["anisotropy"][~spread]).all()


@given(shapes, seeds)
def test_every_row_follows_the_formula(shape: tuple[int, int, int], seed: int) -> None:
    answers = drawn(shape, seed)
    dispersion, anisotropy, effective_rank = by_formula(answers)
    result = answer_divergence(answers)
    np.testing.assert_allclose(result.dispersion, dispersion, atol=1e-12)
    np.testing.assert_allclose(result.anisotropy, anisotropy, atol=1e-8)
    np.testing.assert_allclose(result.effective_rank, effective_rank, rtol=1e-6)


@given(shapes, seeds)
def test_figures_stay_within_their_bounds(shape: tuple[int, int, int], seed: int) -> None:
    result = answer_divergence(drawn(shape, seed))
    k = shape[1]
    assert ((result.dispersion >= 0) & (result.dispersion <= 1)).all()
    assert ((result.anisotropy >= 0) & (result.anisotropy <= 1 - 1 / (k - 1))).all()
    assert ((result.effective_rank > 1 - 1e-9) & (result.effective_rank < k - 1 + 1e-9)).all()
    assert ((result.modes >= 1) & (result.modes <= k)).all()
    assert ((result.largest_mode_share >= 1 / k) & (result.largest_mode_share <= 1)).all()


@given(shapes, seeds)
def test_neither_order_nor_length_nor_rotation_of_the_answers_matters(shape: tuple[int, int, int], seed: int) -> None:
    answers = drawn(shape, seed)
    generator = np.random.default_rng(seed + 1)
    rotation, _ = np.linalg.qr(generator.standard_normal((shape[2], shape[2])))
    lengths = 10.0 ** generator.uniform(-2, 4, (*shape[:2], 1))
    turned = (lengths * answers @ rotation)[:, generator.permutation(shape[1])]
    assert_same(answer_divergence(turned), answer_divergence(answers))


@given(st.integers(2, 10), st.integers(1, 400), seeds, st.sampled_from(["float16", "float32", "float64"]))
def test_equal_answers_have_no_divergence_at_all(k: int, dimension: int, seed: int, dtype: str) -> None:
    one = np.random.default_rng(seed).standard_normal((8, 1, dimension)).astype(dtype)
    result = answer_divergence(np.repeat(one, k, axis=1))
    for figure in (result.dispersion, result.anisotropy, result.effective_rank):
        assert (figure == 0).all()
    assert (result.modes == 1).all()
    assert (result.largest_mode_share == 1).all()


@given(shapes, seeds)
def test_eigenvalues_and_cluster_sizes_add_up(shape: tuple[int, int, int], seed: int) -> None:
    result = answer_divergence(drawn(shape, seed))
    k = shape[1]
    np.testing.assert_allclose(result.eigenvalues.sum(axis=1) / k, result.dispersion, atol=1e-10)
    assert (np.diff(result.eigenvalues) <= 0).all()
    assert (result.eigenvalues[:, -1] == 0).all()
    assert (result.mode_sizes.sum(axis=1) == k).all()
    assert ((result.mode_sizes > 0).sum(axis=1) == result.modes).all()
    np.testing.assert_allclose(result.mode_sizes[:, 0] / k, result.largest_mode_share)


@given(shapes, seeds)
def test_the_cosines_give_the_figures_of_some_of_the_answers(shape: tuple[int, int, int], seed: int) -> None:
    answers = drawn((shape[0], shape[1] + 1, shape[2]), seed)
    kept = answer_divergence(answers).cosines[:, 1:, 1:]
    assert_same(gram_divergence(kept), answer_divergence(answers[:, 1:]))


def test_spread_on_one_line_has_no_anisotropy_and_even_spread_has_the_most() -> None:
    left, right = np.eye(4)[0], np.eye(4)[1]
    camps = answer_divergence(np.array([[left, left, left, right, right]]))
    assert camps.anisotropy[0] == pytest.approx(0)
    assert camps.effective_rank[0] == pytest.approx(1)
    assert (camps.modes[0], camps.largest_mode_share[0]) == (2, 0.6)
    apart = answer_divergence(np.eye(5)[None])
    assert apart.dispersion[0] == pytest.approx(0.8)
    assert apart.anisotropy[0] == pytest.approx(0.75)
    assert apart.effective_rank[0] == pytest.approx(4)


def test_modes_are_chains_of_near_answers() -> None:
    degrees = np.deg2rad([0, 10, 20, 90, 95])
    chain = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)[None]
    assert answer_divergence(chain, mode_distance=0.2).modes[0] == 2  # 10 degrees are 0.174 apart
    assert answer_divergence(chain, mode_distance=0.1).modes[0] == 4
    assert answer_divergence(chain, mode_distance=0.2).largest_mode_share[0] == 0.6


def test_a_zero_vector_counts_as_an_answer() -> None:
    result = answer_divergence(np.array([[[1.0, 0.0], [0.0, 0.0]]]))
    assert result.dispersion[0] == pytest.approx(0.25)
    assert result.modes[0] == 2


@pytest.mark.parametrize("k", [5, 12])
@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_marked_and_leaves_the_others_alone(k: int, fault: float) -> None:
    answers = drawn((6, k, 16), 3)
    clean = answer_divergence(answers)
    answers[2, 1, 3] = fault
    result = answer_divergence(answers)
    assert result.valid.tolist() == [True, True, False, True, True, True]
    assert np.isnan([result.dispersion[2], result.anisotropy[2], result.effective_rank[2]]).all()
    assert result.modes[2] == 0
    np.testing.assert_array_equal(np.delete(result.anisotropy, 2), np.delete(clean.anisotropy, 2))


def test_result_depends_neither_on_blocks_nor_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = drawn((100, 5, 24), 7)
    whole = answer_divergence(answers, threads=1)
    monkeypatch.setattr(divergence, "BLOCK_ROWS", 13)
    monkeypatch.setattr(divergence, "CACHE_BYTES", 4096)
    parts = answer_divergence(answers, threads=3)
    np.testing.assert_array_equal(parts.rounded(9).dispersion, whole.rounded(9).dispersion)
    np.testing.assert_array_equal(parts.rounded(9).anisotropy, whole.rounded(9).anisotropy)


def test_no_rows_give_no_figures() -> None:
    assert answer_divergence(np.zeros((0, 5, 8))).dispersion.shape == (0,)


@pytest.mark.parametrize("shape", [(3, 8), (3, 1, 8)])
def test_arrays_without_several_answers_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, K, d\)"):
        answer_divergence(np.zeros(shape))


def test_score_weighs_dispersion_against_anisotropy() -> None:
    np.testing.assert_allclose(adg_score([0.5, np.nan], [0.25, 0.1]), [0.6 * 0.5 + 0.4 * 0.25, np.nan])
    assert adg_score(0.5, 0.25, weight=1.0) == 0.25
