"""Parts of the pool for machines that share the work: together they are the whole, and none is in two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.orchestration.shard_ranges import ShardRange

KEYS = st.sets(st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True), max_size=40)


@given(KEYS, st.integers(1, 50))
def test_the_parts_make_up_the_pool_in_order_and_differ_by_one_at_most(shards: set[str], parts: int) -> None:
    cut = [ShardRange.parse(f"{part}/{parts}").of(shards) for part in range(1, parts + 1)]
    assert [shard for part in cut for shard in part] == sorted(shards)
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


@given(KEYS, KEYS)
def test_a_range_is_what_lies_between_its_ends(shards: set[str], ends: set[str]) -> None:
    for first, last in zip(sorted(ends), sorted(ends)[1:], strict=False):
        assert ShardRange.parse(f"{first}..{last}").of(shards) == sorted(k for k in shards if first <= k <= last)
        assert ShardRange.parse(f"..{last}").of(shards) == sorted(k for k in shards if k <= last)
        assert ShardRange.parse(f"{first}..").of(shards) == sorted(k for k in shards if k >= first)


def test_a_key_alone_is_itself() -> None:
    assert ShardRange.parse("b").of(["a", "b", "bc"]) == ["b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [("0/4", "such as 3/10"), ("5/4", "the last is 4/4"), ("b..a", "b comes after a"), ("..", "none of"), ("a b", "none of")],
)  # fmt: skip
def test_what_names_no_part_is_refused_with_what_does(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ShardRange.parse(text)
