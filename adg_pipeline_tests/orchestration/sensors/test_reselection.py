"""What the reselection sensor decides: a pure function of the states and the scores at hand."""

from collections.abc import Collection

from adg_pipeline.lineage.states import AssetState, SelectionInputs, ShardState
from adg_pipeline.orchestration.sensors.reselection import ReselectionDecision, decide_reselection

CURRENT = ShardState("a", {"raw_pool": AssetState("current")})
MISSING = ShardState("b", {"raw_pool": AssetState("missing")})
OTHER_SETTINGS = ShardState("a", {"raw_pool": AssetState("stale", recipe_changed=True)})
INPUTS = SelectionInputs({"a": "1"}, {"a": "2"}, {"recipe": ["a"]}, {})


def decide(
    states: dict[str, ShardState] | None = None,
    inputs: SelectionInputs = INPUTS,
    shards: Collection[str] = (),
    selections: int = 0,
    at_hand: str | None = None,
) -> ReselectionDecision:
    return decide_reselection(
        {"a": CURRENT} if states is None else states, inputs, shards, selections, {"adg": "k1"}, {"adg": at_hand}
    )


def test_changed_scores_lead_to_one_selection() -> None:
    assert decide(at_hand="k0").requests == {"adg": "k1"}
    assert decide(at_hand=None).requests == {"adg": "k1"}


def test_a_subset_at_hand_is_not_made_again() -> None:
    assert decide(at_hand="k1").wait == "every subset is up to date"


def test_it_waits_while_a_selection_runs() -> None:
    assert decide(selections=1).wait == "1 selections are in flight"


def test_it_waits_for_a_shard_that_is_being_computed_anew_but_not_for_one_that_stays_as_it_is() -> None:
    assert decide({"a": OTHER_SETTINGS}, shards={"a"}).wait == "1 shards are being computed, such as a"
    assert decide({"a": CURRENT}, shards={"a"}).requests == {"adg": "k1"}


def test_it_waits_for_shards_still_to_be_computed() -> None:
    assert "1 shards are still to be computed" in decide({"a": CURRENT, "b": MISSING}).wait


def test_a_shard_put_aside_does_not_block_it() -> None:
    from adg_pipeline.store.quarantine import PutAside

    aside = ShardState("b", MISSING.assets, PutAside("b", "raw_pool", "bad file", "now", "v", "r"))
    assert decide({"a": CURRENT, "b": aside}).requests == {"adg": "k1"}


def test_scores_that_settings_made_stale_still_serve_if_they_are_of_one_kind() -> None:
    assert decide({"a": OTHER_SETTINGS}).requests == {"adg": "k1"}


def test_scores_of_two_kinds_are_refused_by_name() -> None:
    mixed = SelectionInputs({"a": "1", "b": "1"}, {"a": "2", "b": "2"}, {"r1": ["a"], "r2": ["b"]}, {})
    assert "scores were made in 2 different ways" in decide(inputs=mixed).wait


def test_nothing_is_selected_from_nothing() -> None:
    assert decide({}).wait == "the pool is empty"
    assert decide(inputs=SelectionInputs({}, {}, {}, {})).wait == "no shard is scored"
