"""A budget in tokens, or parted by source: filled as far as the arm's own order fits, never passed, refused with the sums."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.algorithms.budgets import NO_SHARE, OTHERS, choose, keep_listed, parts_of
from adg_pipeline.algorithms.selectors import Candidates
from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.sections import SelectionConfig


def pool(rows: list[tuple[str, str, int, float]], listed: list[str] | None = None) -> Candidates:
    """Examples as (id, source, tokens, dispersion), of two bins."""
    ids, sources, tokens, scores = zip(*sorted(rows), strict=True)
    frame = pl.DataFrame(
        {
            "example_id": ids,
            "bin": pl.Series([number % 2 for number in range(len(ids))], dtype=pl.Int32),
            "source": sources,
            "tokens": pl.Series(tokens, dtype=pl.Int32),
            "dispersion": scores,
            "anisotropy": scores,
        }
    )
    return Candidates(frame, given=listed or [])


def taken(candidates: Candidates, must_keep: list[str] | None = None, **settings: Any) -> list[str]:
    """The subset, the best first."""
    config = SelectionConfig.model_validate({"bins": "none", **settings})
    parts = parts_of(candidates, config, must_keep or [])
    places = keep_listed(choose(candidates, config, parts), must_keep or [], candidates, config, parts)
    assert places["example_id"].to_list() == candidates.frame["example_id"].to_list()
    return places.filter("selected").sort("position")["example_id"].to_list()


SIX = pool(
    [
        ("a", "x", 10, 0.9), ("b", "x", 30, 0.8), ("c", "y", 20, 0.7),
        ("d", "y", 5, 0.6), ("e", "y", 5, 0.5), ("f", "z", 50, 0.4),
    ]
)  # fmt: skip


def test_tokens_are_filled_in_the_order_of_the_arm_until_the_next_does_not_fit() -> None:
    assert taken(SIX, budget_tokens=60) == ["a", "b", "c"]
    assert taken(SIX, budget_tokens=69) == ["a", "b", "c", "d"]
    assert taken(SIX, budget_tokens=9) == []  # the best has 10
    assert taken(SIX, budget_tokens=10_000) == ["a", "b", "c", "d", "e", "f"]


def test_an_arm_that_takes_one_after_the_other_ends_where_the_next_does_not_fit() -> None:
    listed = pool([(name, "x", 10, 0.5) for name in "abcdef"], ["f", "b", "nobody", "a"])
    assert taken(listed, selector="given", budget_tokens=25) == ["f", "b"]
    assert taken(listed, selector="given", budget_tokens=1000) == ["f", "b", "a"]


def test_sources_with_a_quota_get_exactly_that_and_the_others_share_the_rest() -> None:
    assert sorted(taken(SIX, budget=4, source_quotas={"y": 1, "z": 1})) == ["a", "b", "c", "f"]
    assert sorted(taken(SIX, budget=3, source_quotas={"x": 0, "nowhere": 0})) == ["c", "d", "e"]


def test_weights_part_the_budget_and_what_a_source_lacks_goes_to_the_others() -> None:
    assert sorted(taken(SIX, budget=3, source_weights={"x": 1, "y": 2})) == ["a", "c", "d"]
    assert sorted(taken(SIX, budget=5, source_weights={"x": 3, "y": 1, "z": 1})) == ["a", "b", "c", "d", "f"]
    config = SelectionConfig(bins="none", budget=2, source_weights={"x": 1.0})
    places = choose(SIX, config, parts_of(SIX, config))
    assert set(places.filter(pl.col("left_out") == NO_SHARE)["example_id"]) == {"c", "d", "e", "f"}


def test_the_beginning_of_a_subset_has_its_sources_in_proportion() -> None:
    rows = [(f"{source}{n:02}", source, 1, n / 100) for source in "xy" for n in range(30)]
    subset = taken(pool(rows), budget=30, source_weights={"x": 2, "y": 1})
    assert all(abs(sum(one[0] == "x" for one in subset[:n]) - n * 2 / 3) <= 1 for n in range(1, 31))


def test_tokens_are_parted_by_weights_too() -> None:
    assert sorted(taken(SIX, budget_tokens=80, source_weights={"x": 1, "y": 1})) == ["a", "b", "c", "d", "e"]
    assert sorted(taken(SIX, budget_tokens=40, source_weights={"x": 1, "y": 1})) == ["a", "c"]


def test_what_must_be_kept_counts_in_its_own_source() -> None:
    assert taken(SIX, ["e"], budget=3, source_quotas={"y": 1}) == ["e", "a", "b"]
    assert taken(SIX, ["f"], budget_tokens=70) == ["f", "a"]
    with pytest.raises(SettingsError, match=r"must_keep: y: 2 examples must be kept and the budget is 1"):
        taken(SIX, ["d", "e"], budget=3, source_quotas={"y": 1})
    with pytest.raises(SettingsError, match=rf"must_keep: {NO_SHARE}: 1 examples must be kept and the budget is 0"):
        taken(SIX, ["f"], budget=3, source_weights={"x": 1, "y": 1})
    with pytest.raises(SettingsError, match=r"must_keep: 1 examples of 50 tokens must be kept and the budget is 49"):
        taken(SIX, ["f"], budget_tokens=49)


def test_what_cannot_be_met_is_refused_with_the_sums() -> None:
    with pytest.raises(SettingsError, match=r"source_quotas asks for 3 of x, and 2 of it can be selected"):
        taken(SIX, budget=5, source_quotas={"x": 3})
    with pytest.raises(SettingsError, match=r"is of w; there are x \(2\), y \(3\), z \(1\)"):
        taken(SIX, budget=5, source_weights={"w": 1})
    with pytest.raises(SettingsError, match="to have a part of the budget nothing can be selected"):
        taken(SIX, budget=5, source_quotas={"x": 0, "y": 0, "z": 0})
    for settings, told in (
        ({"budget": 5, "source_quotas": {"x": 2, "y": 4}}, r"2 \+ 4 = 6 examples, and budget is 5"),
        ({"source_quotas": {"x": 1}, "source_weights": {"x": 1}}, "x has a quota and a weight"),
        ({"source_quotas": {"x": 1}, "budget_tokens": 9}, "source_quotas are examples and budget_tokens are tokens"),
        ({"source_quotas": {"x": -1}}, "a quota is 0 or more"),
        ({"source_weights": {"x": 0}}, "a weight is 0.000001 to"),
        ({"min_tokens": 9, "max_tokens": 8}, "nothing lies between"),
    ):
        with pytest.raises(ValueError, match=told):
            SelectionConfig.model_validate(settings)


def test_the_other_sources_are_one_part() -> None:
    config = SelectionConfig(budget=5, source_quotas={"x": 1})
    assert [(part.name, part.budget) for part in parts_of(SIX, config)] == [("x", 1), (OTHERS, 4)]


EXAMPLES = st.lists(
    st.tuples(st.sampled_from("xyz"), st.integers(1, 40), st.sampled_from([0.1, 0.2, 0.3, 0.4])),
    min_size=3,
    max_size=30,
)


@given(EXAMPLES, st.integers(1, 300), st.booleans(), st.sampled_from(["semantic", "none"]))
def test_a_budget_in_tokens_is_never_passed_and_one_example_more_would_pass_it(
    rows: list[tuple[str, int, float]], budget: int, weighted: bool, bins: str
) -> None:
    candidates = pool([(f"{number:02}", *row) for number, row in enumerate(rows)])
    weights = {name: 1.0 + number for number, name in enumerate(sorted({row[0] for row in rows}))} if weighted else {}
    config = SelectionConfig.model_validate({"bins": bins, "budget_tokens": budget, "source_weights": weights})
    parts = parts_of(candidates, config)
    table = choose(candidates, config, parts)
    tokens, chosen = candidates.frame["tokens"].to_numpy(), table["selected"].to_numpy()
    assert tokens[chosen].sum() <= budget
    assert sorted(table.filter("selected")["position"]) == list(range(1, int(chosen.sum()) + 1))
    for part in parts:
        mine = candidates.take(part.rows)
        number = int(chosen[part.rows].sum())
        assert tokens[part.rows][chosen[part.rows]].sum() <= part.budget
        if number < len(part.rows):
            more = config.model_copy(update={"budget": number + 1, "budget_tokens": None, "source_weights": {}})
            next_one = choose(mine, more, parts_of(mine, more))["selected"].to_numpy()
            assert tokens[part.rows][next_one].sum() > part.budget
    assert np.array_equal(table["example_id"].to_numpy(), candidates.frame["example_id"].to_numpy())
