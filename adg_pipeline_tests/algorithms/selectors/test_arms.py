"""What holds of every arm: the budget exactly or the reason why not, nothing twice, whatever the budget or the signals."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.algorithms.arms import BUILT_IN
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.algorithms.selectors.base import TEXTS
from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline_tests.algorithms.selectors.pools import candidates

NAMES = [name for name in BUILT_IN if name != "adg_released"]
every_arm = pytest.mark.parametrize("name", NAMES)
COLUMNS = {"example_id", "score", "bin_rank", "bin_size", "bin_quota", "selected", "position", "left_out"}


def read_numbers(name: str) -> list[str]:
    """Signals of the arm that aren't texts."""
    arm = BUILT_IN[name]
    return [signal for signal in arm.chooses.reads(arm.config(SelectionConfig())) if signal not in TEXTS]


@every_arm
@settings(max_examples=12, deadline=None)
@given(st.integers(1, 70), st.integers(1, 90), st.integers(0, 2**16))
def test_it_takes_the_budget_exactly_or_says_of_each_other_example_why_not(
    name: str, rows: int, budget: int, seed: int
) -> None:
    pool, arm = candidates(rows, seed), BUILT_IN[name]
    table = arm.chooses.choose(pool, arm.config(SelectionConfig(budget=budget)))
    assert set(table.columns) >= COLUMNS
    assert table["example_id"].to_list() == pool.frame["example_id"].to_list()
    taken, barred = int(table["selected"].sum()), int(table["left_out"].is_not_null().sum())
    assert taken == min(budget, rows - barred)
    assert sorted(table.filter("selected")["position"]) == list(range(1, taken + 1))
    assert not table.filter(pl.col("left_out").is_not_null())["selected"].any()


@every_arm
def test_it_reads_only_what_it_declares(name: str) -> None:
    pool, arm = candidates(60, 1), BUILT_IN[name]
    config = arm.config(SelectionConfig(budget=20))
    declared = pool.frame.select("example_id", "bin", *arm.chooses.reads(config))
    less = replace(
        pool,
        frame=declared,
        vectors=pool.vectors if arm.chooses.vectors else None,
        centroids=pool.centroids if arm.chooses.centroids else None,
        likeness=pool.likeness if arm.chooses.likeness else None,
    )
    whole = SELECTORS[config.selector].choose(pool, config)
    assert SELECTORS[config.selector].choose(less, config)["selected"].to_list() == whole["selected"].to_list()


@pytest.mark.parametrize("name", [name for name in NAMES if read_numbers(name)])
def test_an_example_whose_signals_are_missing_is_left_out_and_the_others_stay(name: str) -> None:
    pool, arm = candidates(40, 2), BUILT_IN[name]
    config = arm.config(SelectionConfig(budget=10))
    holed = pool.frame.with_columns(
        pl.when(pl.int_range(pl.len()) != 7).then(pl.col(signal)).alias(signal) for signal in read_numbers(name)
    )
    table = arm.chooses.choose(replace(pool, frame=holed), config)
    assert table["left_out"][7] is not None
    assert table["selected"].sum() == min(10, int(table["left_out"].is_null().sum()))


def test_an_unknown_setting_of_an_arm_is_refused() -> None:
    with pytest.raises(ValueError, match="rank"):
        replace(BUILT_IN["adg"], settings={"rank": "best"}).config(SelectionConfig())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**16))
def test_random_bins_have_the_sizes_of_the_semantic_ones(rows: int, seed: int) -> None:
    arm, pool = BUILT_IN["adg_random_bins"], candidates(rows, seed)
    table = arm.chooses.choose(pool, arm.config(SelectionConfig(budget=10)))
    np.testing.assert_array_equal(np.bincount(table["bin"].to_numpy()), np.bincount(pool.frame["bin"].to_numpy()))


@every_arm
def test_it_reads_every_setting_that_it_is_built_of(name: str) -> None:
    arm = BUILT_IN[name]
    assert set(arm.settings).isdisjoint(arm.chooses.ignores(arm.config(SelectionConfig())))


# Of each setting another value than arms have. A selector is given its queries; the setting only names their file.
OTHER = {
    "budget": 14, "weight": 0.9, "rank": "bottom", "quota": "released", "seed": 7, "bins": "random", "length_control": True,
    "reach": -0.5, "first_answers": 2,
}  # fmt: skip


@every_arm
@pytest.mark.parametrize("setting", OTHER)
def test_a_setting_changes_the_subset_unless_the_selector_ignores_it(name: str, setting: str) -> None:
    arm, pools = BUILT_IN[name], [candidates(120, seed) for seed in range(3)]
    # Length matters to a score only where the two go together.
    longer = (pl.col("dispersion") * 200 + 1).alias("answer_tokens")
    pools = [replace(pool, frame=pool.frame.with_columns(longer)) for pool in pools]
    before = arm.config(SelectionConfig(budget=15))
    after = before.model_copy(update={setting: OTHER[setting]})
    if getattr(before, setting) == getattr(after, setting):
        pytest.skip("the arm is built of it")

    def subset(pool: Candidates, config: SelectionConfig) -> list[str]:
        read = pool.frame.select("example_id", "bin", *arm.chooses.reads(config))
        table = arm.chooses.choose(replace(pool, frame=read), config)
        return sorted(table.filter("selected")["example_id"])

    assert all(subset(pool, before) == subset(pool, after) for pool in pools) == (
        setting in arm.chooses.ignores(before)
    )


def test_length_matched_examples_match_what_the_control_for_length_takes() -> None:
    pool = candidates(400, 5)
    arm, paper = BUILT_IN["random_length_matched"], BUILT_IN["adg"]
    edges = np.quantile(pool.frame["reference_tokens"], np.linspace(0, 1, 21)[1:-1])

    def strata(name: str, config: SelectionConfig) -> list[int]:
        taken = SELECTORS[name].choose(pool, config)["selected"].to_numpy()
        lengths = pool.frame["reference_tokens"].to_numpy()[taken]
        return np.bincount(np.searchsorted(edges, lengths, side="right"), minlength=20).tolist()

    for control in (False, True):
        config = SelectionConfig(budget=60, length_control=control)
        assert strata("random_length_matched", arm.config(config)) == strata("adg", paper.config(config))


def test_more_answers_than_there_are_is_refused() -> None:
    with pytest.raises(SettingsError, match="first_answers is 9, and 5 answers were drawn"):
        BUILT_IN["adg_k3"].chooses.choose(candidates(10), SelectionConfig(first_answers=9))
