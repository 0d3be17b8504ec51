"""Which value of a setting holds: a flag's is kept until adg.yaml says something else of it."""

from typing import Any

import pytest

from adg_pipeline.settings.kept import in_words, spoken, still_held, to_keep, values
from adg_pipeline.settings.loading import Settings

BUDGET = "selected_subset.budget"
DEFAULT = 10_000


def made(flag: int | None, said: int | None) -> dict[str, Any]:
    """What is kept of a run with this --budget, while adg.yaml had that."""
    file = {} if said is None else {BUDGET: said}
    asked = values(Settings()) | file | ({} if flag is None else {BUDGET: flag})
    return to_keep(asked, file, "selected_subset")


@pytest.mark.parametrize(
    ("flag", "said_then", "said_now", "holds"),
    [
        (40, None, None, 40),  # nobody said anything else
        (40, 100, 100, 40),
        (40, None, 100, 100),  # adg.yaml speaks of it now
        (40, 100, 200, 200),  # adg.yaml says something else
        (40, 100, None, DEFAULT),  # adg.yaml says nothing of it any more
        (40, None, 40, 40),
        (100, 100, 200, 200),  # the flag said what adg.yaml said: nothing was asked for otherwise
        (None, 100, 100, 100),
        (None, 100, 200, 200),
        (None, None, None, DEFAULT),
    ],
)
def test_a_flag_holds_until_the_file_says_otherwise(
    flag: int | None, said_then: int | None, said_now: int | None, holds: int
) -> None:
    now = {} if said_now is None else {BUDGET: said_now}
    held = still_held(made(flag, said_then), now)
    assert held.get(BUDGET, {"value": now.get(BUDGET, DEFAULT)})["value"] == holds


def test_other_settings_of_the_file_may_change() -> None:
    kept = made(40, None)
    assert still_held(kept, {"selected_subset.weight": 0.9}) == kept


def test_every_section_and_nested_options_are_kept_but_not_what_is_asked_for_once() -> None:
    asked = Settings.model_validate(
        {
            "generations": {"samples": 7, "vllm": {"tensor_parallel": 4}},
            "semantic_bins": {"refit": True, "bins": 9},
        }
    )
    assert to_keep(values(asked), {}, "generations") == {
        "generations.samples": {"value": 7},
        "generations.vllm.tensor_parallel": {"value": 4},
    }
    assert to_keep(values(asked), {}, "semantic_bins") == {"semantic_bins.bins": {"value": 9}}


def test_what_a_file_says_is_compared_by_value_not_by_how_it_is_written() -> None:
    written = [Settings.model_validate({"selected_subset": {"budget": given}}) for given in (40, "40", 40.0)]
    assert [spoken(settings) for settings in written] == [{BUDGET: 40}] * 3


def test_it_is_told_with_what_the_file_says() -> None:
    assert in_words(BUDGET, made(40, None)[BUDGET]) == f"{BUDGET} = 40 (not in adg.yaml, default 10000)"
    assert in_words(BUDGET, made(40, 100)[BUDGET]) == f"{BUDGET} = 40 (adg.yaml: 100)"
