"""What must be in a subset is in it, the budget stays, and those that the arm chose last make room."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.algorithms.must_keep import keep


def choice(order: list[str], pool: list[str]) -> pl.DataFrame:
    places = {name: place for place, name in enumerate(order, start=1)}
    return pl.DataFrame(
        {
            "example_id": pool,
            "selected": [name in places for name in pool],
            "position": [places.get(name) for name in pool],
            "left_out": ["gate" if name == "z" else None for name in pool],
        },
        schema={"example_id": pl.String, "selected": pl.Boolean, "position": pl.Int32, "left_out": pl.String},
    )


def chosen(frame: pl.DataFrame) -> list[str]:
    return frame.filter("selected").sort("position")["example_id"].to_list()


def test_the_last_make_room_in_the_order_of_the_list() -> None:
    kept = keep(choice(["a", "b", "c"], ["a", "b", "c", "d", "z"]), ["z", "none", "b", "z"], 3)
    assert chosen(kept) == ["z", "b", "a"]
    assert kept.filter("must_keep")["example_id"].to_list() == ["b", "z"]
    assert kept.filter(pl.col("example_id") == "z")["left_out"].to_list() == [None]


def test_where_the_arm_took_less_than_the_budget_nobody_makes_room() -> None:
    assert chosen(keep(choice(["a", "b"], ["a", "b", "c"]), ["c"], 3)) == ["c", "a", "b"]


def test_more_than_the_budget_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"2 examples must be kept and the budget is 1"):
        keep(choice(["a"], ["a", "b", "c"]), ["b", "c"], 1)


names = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(st.permutations("abcdefgh"), st.integers(1, 8), names)
def test_the_budget_is_exact_and_the_arms_order_stays(order: list[str], budget: int, listed: list[str]) -> None:
    before = choice(order[:budget], list("abcdefgh"))
    if len(listed) > budget:
        return
    found = chosen(keep(before, listed, budget))
    assert len(found) == budget
    assert found[: len(listed)] == listed
    rest = found[len(listed) :]
    assert rest == [name for name in order if name not in listed][: len(rest)]
