"""Selection: the budget is met exactly, ties break by id, and the released rule is reproduced id for id."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.algorithms.arms import BUILT_IN
from adg_pipeline.algorithms.divergence import adg_score
from adg_pipeline.algorithms.quotas import largest_remainder
from adg_pipeline.algorithms.selection import Rank, rank_table, select
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.settings.sections import SelectionConfig

# Few bins and few distinct scores: ties everywhere.
pools = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=60)
ranks = st.sampled_from(["top", "middle", "bottom"])


def columns(pool: list[tuple[int, int]]) -> tuple[list[str], list[float], list[int]]:
    return [f"ex-{row}" for row in range(len(pool))], [score / 4 for _, score in pool], [bin_ for bin_, _ in pool]


@pytest.mark.parametrize("name", ["selection_small.npz", "selection_skewed.npz"])
@pytest.mark.parametrize("rank", ["top", "middle", "bottom"])
def test_released_quota_reproduces_the_released_code_id_for_id(shared: Path, name: str, rank: Rank) -> None:
    golden = np.load(shared / "goldens" / name)
    scores = adg_score(golden["dispersion"], golden["anisotropy"])
    ids = np.arange(len(scores))
    chosen = select(ids, scores, golden["bin"], int(golden["budget"]), quota="released", rank=rank)
    np.testing.assert_array_equal(chosen, golden[rank])


@given(pools, st.integers(0, 80), ranks)
def test_budget_is_met_exactly_with_each_bin_giving_its_quota(
    pool: list[tuple[int, int]], budget: int, rank: Rank
) -> None:
    ids, scores, bins = columns(pool)
    chosen = select(ids, scores, bins, budget, rank=rank)
    assert len(chosen) == len(set(chosen)) == min(budget, len(ids))
    sizes = np.bincount(bins, minlength=6)
    given_by_bin = np.bincount([bins[ids.index(example)] for example in chosen], minlength=6)
    np.testing.assert_array_equal(given_by_bin, largest_remainder(sizes, budget))


@given(pools, st.integers(0, 80), ranks, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(pool: list[tuple[int, int]], budget: int, rank: Rank, random: Any) -> None:
    ids, scores, bins = columns(pool)
    rows = list(range(len(ids)))
    random.shuffle(rows)
    shuffled = select([ids[r] for r in rows], [scores[r] for r in rows], [bins[r] for r in rows], budget, rank=rank)
    assert shuffled.tolist() == select(ids, scores, bins, budget, rank=rank).tolist()


@given(pools, st.integers(0, 80))
def test_ids_come_best_first_and_no_better_one_of_a_bin_is_left_out(pool: list[tuple[int, int]], budget: int) -> None:
    ids, scores, bins = columns(pool)
    chosen = [ids.index(example) for example in select(ids, scores, bins, budget)]
    assert chosen == sorted(chosen, key=lambda row: (-scores[row], ids[row]))
    for row in set(range(len(ids))) - set(chosen):
        ahead = [other for other in chosen if bins[other] == bins[row]]
        assert all((-scores[other], ids[other]) < (-scores[row], ids[row]) for other in ahead)


def test_top_middle_and_bottom_take_the_best_the_median_and_the_worst_of_a_bin() -> None:
    ids, scores = ["a", "b", "c", "d", "e"], [0.5, 0.4, 0.3, 0.2, 0.1]
    picks = {rank: select(ids, scores, [0] * 5, 1, rank=rank).tolist() for rank in ("top", "middle", "bottom")}  # type: ignore[arg-type]
    assert picks == {"top": ["a"], "middle": ["c"], "bottom": ["e"]}


@pytest.mark.parametrize(
    "make", [list, np.array, pl.Series, pa.array, lambda ids: pa.chunked_array([ids[:2], ids[2:]])]
)
def test_ids_may_be_any_kind_of_array(make: Callable[[list[str]], Any]) -> None:
    chosen = select(make(["b", "é", "a", "c"]), [1.0, 1.0, 1.0, 0.0], [7, 7, 7, -2], 3)
    assert chosen.tolist() == ["a", "b", "c"]


def test_integer_ids_tie_by_number_and_bins_may_be_far_apart() -> None:
    assert select(np.array([10, 9, 2]), [1.0, 1.0, 1.0], [2**40, 2**40, -5], 3).tolist() == [2, 9, 10]


def test_rank_table_tells_of_each_example_where_it_stands() -> None:
    table = rank_table(["a", "b", "c", "d"], [0.1, 0.9, 0.5, 0.5], [3, 3, 3, 8], 2)
    assert table.to_dict(as_series=False) == {
        "example_id": ["a", "b", "c", "d"],
        "score": [0.1, 0.9, 0.5, 0.5],
        "bin": [3, 3, 3, 8],
        "bin_rank": [3, 1, 2, 1],
        "bin_size": [3, 3, 3, 1],
        "bin_quota": [2, 2, 2, 0],
        "selected": [False, True, True, False],
        "position": [None, 1, 2, None],
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((["a"], [np.nan], [0], 1), "1 of 1 scores are NaN"),
        ((["a", "b"], [1.0], [0, 0], 1), "lengths must be equal"),
        ((["a"], [1.0], [0], -1), "must not be negative"),
        ((["a"], [1.0], [0.5], 1), "bins must be integers"),
    ],
)
def test_what_cannot_be_ranked_is_refused(arguments: tuple[Any, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        select(*arguments)


def candidates(count: int) -> pl.DataFrame:
    generator = np.random.default_rng(count)
    return pl.DataFrame(
        {
            "example_id": [f"ex-{row:04}" for row in range(count)],
            "source": "made",
            "dispersion": generator.random(count).round(2),
            "anisotropy": generator.random(count).round(1),
            "bin": generator.integers(0, 5, count).astype(np.int32),
            "output_chars": 20,
        }
    )


@pytest.mark.parametrize("quota", ["largest_remainder", "released"])
def test_adg_takes_the_highest_scores_of_each_bin(quota: Literal["largest_remainder", "released"]) -> None:
    frame = candidates(200)
    table = SELECTORS["adg"].choose(Candidates(frame), SelectionConfig(budget=30, quota=quota))
    scores = adg_score(frame["dispersion"], frame["anisotropy"])
    expected = select(frame["example_id"], scores, frame["bin"].to_numpy(), 30, quota=quota)
    assert table.filter("selected").sort("position")["example_id"].to_list() == expected.tolist()


def test_random_selection_changes_with_the_seed_and_little_as_the_pool_grows() -> None:
    def chosen(count: int, seed: int) -> set[str]:
        config = BUILT_IN["random"].config(SelectionConfig(budget=50, seed=seed))
        table = SELECTORS["random"].choose(Candidates(candidates(count)), config)
        assert table["bin_rank"].null_count() == count
        return set(table.filter("selected")["example_id"])

    assert len(chosen(500, 1)) == 50
    assert chosen(500, 1) != chosen(500, 2)
    assert len(chosen(500, 1) & chosen(550, 1)) >= 40
