"""Ranges: Dagster runs a contiguous range of partitions in one run, in the order in which keys were added."""

from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.orchestration.partitions import contiguous_ranges


def test_scattered_shards_become_several_ranges() -> None:
    ordered = ["a", "b", "c", "d", "e"]
    assert contiguous_ranges(["e", "a", "b"], ordered, 8) == [("a", "b", 2), ("e", "e", 1)]


def test_order_is_that_of_the_partitions_not_of_the_alphabet() -> None:
    assert contiguous_ranges(["a", "z"], ["z", "a"], 8) == [("z", "a", 2)]


@given(st.sets(st.integers(0, 40)), st.integers(1, 7))
def test_every_shard_is_in_exactly_one_range_and_no_range_is_too_long(chosen: set[int], longest: int) -> None:
    ordered = [f"s{number:02d}" for number in range(41)]
    wanted = [ordered[number] for number in chosen]
    covered = []
    for first, last, count in contiguous_ranges(wanted, ordered, longest):
        part = ordered[ordered.index(first) : ordered.index(last) + 1]
        assert len(part) == count <= longest
        covered += part
    assert sorted(covered) == sorted(wanted)
