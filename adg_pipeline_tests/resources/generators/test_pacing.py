"""When a server is asked again, and how many requests it is sent at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.resources.generators.aimd import AdaptiveLimit
from adg_pipeline.resources.generators.retry import RetryPolicy, retry_after_seconds


@given(attempt=st.integers(1, 100), retry_after=st.none() | st.floats(0, 1e6))
def test_wait_is_as_long_as_the_server_asks_up_to_the_cap(attempt: int, retry_after: float | None) -> None:
    wait = RetryPolicy(6, base_seconds=0.5, cap_seconds=60).wait(attempt, retry_after)
    assert min(retry_after or 0, 60) <= wait <= 60
    if retry_after is None:
        assert wait <= 0.5 * 2 ** (attempt - 1)


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    assert retry_after_seconds({"retry-after": "7"}) == 7
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after_seconds({"retry-after": date}) == pytest.approx(30, abs=2)
    assert retry_after_seconds({"retry-after": "soon"}) is None
    assert retry_after_seconds({}) is None


def test_overload_of_one_round_halves_the_limit_once() -> None:
    async def story() -> None:
        limit = AdaptiveLimit(32)
        async with limit.slot() as first, limit.slot() as second:
            limit.overloaded(first)
            limit.overloaded(second)
            assert limit.limit == 16
        async with limit.slot() as later:
            limit.overloaded(later)
            assert limit.limit == 8

    asyncio.run(story())


def test_limit_recovers_by_one_for_each_round_that_went_well() -> None:
    limit = AdaptiveLimit(32)
    for round in range(10):
        limit.overloaded(round)
    assert limit.limit == 1
    for _ in range(3):
        limit.succeeded()
    assert 2 < limit.limit < 3
    for _ in range(1000):
        limit.succeeded()
    assert limit.limit == 32


def test_slots_are_given_up_to_the_limit() -> None:
    async def story() -> None:
        limit = AdaptiveLimit(2)
        most = 0

        async def hold() -> None:
            nonlocal most
            async with limit.slot():
                most = max(most, limit.in_flight)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(hold())
        assert (most, limit.in_flight) == (2, 0)

    asyncio.run(story())
