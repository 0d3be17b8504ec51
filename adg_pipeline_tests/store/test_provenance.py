"""Provenance: what a table was made from decides whether it is up to date, nothing else."""

from adg_pipeline.store.provenance import Provenance, Recipe, differences, make_provenance


def test_provenance_survives_being_stored() -> None:
    recipe = Recipe("generations", "1", {"samples": 5, "backbone": {"content": "ab"}}, {"raw_pool": "cd"})
    provenance = make_provenance(recipe, "s-0", {"raw_pool": "12"}, 7, facts={"ok": 7})
    again = Provenance.from_json(provenance.to_json())
    assert again == provenance
    assert again.fingerprint == recipe.fingerprint({"raw_pool": "12"})


def test_a_change_upstream_changes_the_recipe() -> None:
    before = Recipe("divergence_scores", "1", {"decimals": 6}, {"answer_embeddings": "a"})
    after = Recipe("divergence_scores", "1", {"decimals": 6}, {"answer_embeddings": "b"})
    assert before.id != after.id
    assert differences(before, after) == ["answer_embeddings computed differently"]


def test_differences_are_told_in_words() -> None:
    before = Recipe("generations", "1", {"samples": 5, "temperature": 1.4})
    after = Recipe("generations", "2", {"samples": 7, "temperature": 1.4})
    assert differences(before, after) == ["code version 1 → 2", "samples 5 → 7"]


def test_a_setting_that_stood_at_its_default_is_told_as_not_set() -> None:
    before = Recipe("reference_losses", "1", {"plain": False, "revision": None, "ranker": "abc"})
    after = Recipe("reference_losses", "1", {"plain": True, "revision": "v2", "states": True})
    assert differences(before, after) == [
        "plain false → true",
        "ranker: abc before, no longer set",
        "revision: not set before, now v2",
        "states: not set before, now true",
    ]


def test_the_same_work_has_the_same_fingerprint_whatever_the_order_of_keys() -> None:
    one = Recipe("a", "1", {"x": 1, "y": 2})
    other = Recipe("a", "1", {"y": 2, "x": 1})
    assert one.fingerprint({"p": "1", "q": "2"}) == other.fingerprint({"q": "2", "p": "1"})
