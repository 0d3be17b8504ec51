"""Each step begins with what the one before leaves."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.algorithms.funnel import funnel, in_words

reasons = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 50))


@given(reasons, reasons, st.integers(0, 100), st.integers(0, 100))
def test_steps_add_up(rejected: dict[str, int], left_out: dict[str, int], selected: int, others: int) -> None:
    eligible = selected + others
    records = eligible + sum(rejected.values()) + sum(left_out.values())
    steps = funnel(records, rejected, left_out, eligible, selected)
    for step, following in itertools.pairwise(steps):
        assert step["examples"] - sum(step["left_out"].values()) == following["examples"]
    assert (steps[0]["examples"], steps[-1]["examples"]) == (records, selected)
    assert in_words(steps).startswith(f"{records:,} records read → ")
