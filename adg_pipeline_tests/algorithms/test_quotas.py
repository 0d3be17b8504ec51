"""Quotas: exact sums, limits that hold, and the released rule with its faults."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.algorithms.quotas import largest_remainder, released

bin_sizes = st.lists(st.integers(0, 500), min_size=1, max_size=60)


@given(bin_sizes, st.integers(0, 5000))
def test_quotas_sum_to_the_budget_or_to_all_there_is(sizes: list[int], budget: int) -> None:
    quotas = largest_remainder(sizes, budget)
    assert quotas.sum() == min(budget, sum(sizes))
    assert (quotas <= sizes).all()


@given(bin_sizes, st.integers(0, 5000))
def test_quotas_are_proportional_to_within_one(sizes: list[int], budget: int) -> None:
    share = np.array(sizes) * min(budget, sum(sizes)) / max(1, sum(sizes))
    assert (np.abs(largest_remainder(sizes, budget) - share) < 1).all()


@given(bin_sizes, st.integers(0, 5000))
def test_a_larger_bin_never_gets_less(sizes: list[int], budget: int) -> None:
    quotas = largest_remainder(sizes, budget)
    by_size = [quotas[np.array(sizes) == size] for size in sorted(set(sizes))]
    assert all(smaller.max() <= larger.min() for smaller, larger in pairwise(by_size))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=40), st.integers(0, 4000))
def test_what_a_full_bin_cannot_take_goes_to_the_others(bins: list[tuple[int, int]], budget: int) -> None:
    sizes, capacity = (np.array(column) for column in zip(*bins, strict=True))
    quotas = largest_remainder(sizes, budget, capacity)
    assert quotas.sum() == min(budget, capacity[sizes > 0].sum())
    assert (quotas <= capacity).all()
    assert (quotas[sizes == 0] == 0).all()


def test_equal_remainders_go_to_the_larger_bin_then_to_the_first() -> None:
    assert largest_remainder([1, 1, 1], 2).tolist() == [1, 1, 0]
    assert largest_remainder([1, 3], 2).tolist() == [0, 2]


@pytest.mark.parametrize(("sizes", "budget"), [([-1, 2], 1), ([1, 2], -1), ([2**40], 2**40)])
def test_quotas_that_cannot_be_worked_out_are_refused(sizes: list[int], budget: int) -> None:
    with pytest.raises(ValueError, match=r"negative|64-bit"):
        largest_remainder(sizes, budget)


def test_released_quotas_floor_and_skip_small_bins() -> None:
    even = np.full(1000, 52)
    assert released(even, 10_000).top.sum() == 10_000
    even[:2] += 1  # 52,002 rows: now every share has a fraction, which is dropped
    assert released(even, 10_000).top.sum() == 9_002
    quotas = released([2, 1, 6], 5)
    assert (quotas.top.tolist(), quotas.middle.tolist(), quotas.bottom.tolist()) == ([0, 0, 2], [2, 1, 2], [0, 0, 2])


@given(bin_sizes, st.integers(0, 5000))
def test_released_quotas_never_pass_a_third_of_a_bin_of_three_or_more(sizes: list[int], budget: int) -> None:
    counts = np.array(sizes)
    quotas = released(counts, budget)
    assert (quotas.top + quotas.middle + quotas.bottom <= counts).all()
    assert (quotas.top[counts >= 3] <= np.maximum(1, counts[counts >= 3] // 3)).all()
    assert (quotas.top[counts < 3] == 0).all()
