"""Each selector on figures that can be checked by hand."""

import math

import numpy as np
import polars as pl
import pytest

from adg_pipeline.algorithms.arms import BUILT_IN
from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.algorithms.length_control import length_residual
from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.algorithms.selectors.base import OUT_OF_REACH
from adg_pipeline.algorithms.selectors.deita import filter_repetitions
from adg_pipeline.algorithms.selectors.dsir import importance, ngram_counts
from adg_pipeline.algorithms.selectors.given import NOT_GIVEN
from adg_pipeline.algorithms.selectors.ifd import NO_HELP
from adg_pipeline.algorithms.selectors.mig import greedy, propagation
from adg_pipeline.algorithms.selectors.rds_plus import round_robin
from adg_pipeline.algorithms.selectors.spectral import eigenscore, semantic_entropy
from adg_pipeline.algorithms.selectors.t_shirt import nearest_threshold
from adg_pipeline.algorithms.selectors.zip import compression_ratio, least_compressible
from adg_pipeline.settings.sections import SelectionConfig


def chosen(arm: str, budget: int, **columns: list[float] | list[str] | None) -> list[str]:
    """Ids that an arm takes, best first, of examples a, b, c, … with these signals."""
    table = ranked(arm, budget, **columns)
    return table.filter("selected").sort("position")["example_id"].to_list()


def ranked(arm: str, budget: int, **columns: list[float] | list[str] | None) -> pl.DataFrame:
    rows = len(next(iter(columns.values())) or [])
    frame = pl.DataFrame({"example_id": list("abcdefgh")[:rows], "bin": [0] * rows, **columns})
    return BUILT_IN[arm].chooses.choose(Candidates(frame), BUILT_IN[arm].config(SelectionConfig(budget=budget)))


def test_a_given_list_is_taken_in_its_order_up_to_the_budget() -> None:
    frame = pl.DataFrame({"example_id": list("abcd"), "bin": [0] * 4})
    pool = Candidates(frame, given=["c", "a", "d"])
    for budget, ids in ((2, ["c", "a"]), (9, ["c", "a", "d"])):
        table = SELECTORS["given"].choose(pool, SelectionConfig(selector="given", budget=budget))
        assert table.filter("selected").sort("position")["example_id"].to_list() == ids
        assert table["left_out"].to_list() == [None, NOT_GIVEN, None, None]


def test_every_selector_names_its_source() -> None:
    assert all(selector.source for selector in SELECTORS.values())


# Camps of orthogonal answers: K = 5, clean splits (see the table of relatives in the method's notes).
CAMPS = {
    "all equal": ([0, 0, 0, 0, 0], -6.908, 0.0),
    "4:1": ([0, 0, 0, 0, 1], -5.432, 0.500),
    "3:2": ([0, 0, 0, 1, 1], -5.351, 0.673),
    "2:2:1": ([0, 0, 1, 1, 2], -3.969, 1.055),
    "all differ": ([0, 1, 2, 3, 4], -1.381, 1.609),
}


@pytest.mark.parametrize("camp", CAMPS)
def test_eigenscore_and_semantic_entropy_of_camps(camp: str) -> None:
    places, spectral, entropy = CAMPS[camp]
    result = answer_divergence(np.eye(5)[places][None]).rounded(4)
    frame = pl.DataFrame({"eigenvalues": result.eigenvalues.tolist(), "mode_sizes": result.mode_sizes.tolist()})
    assert eigenscore(frame, SelectionConfig())[0] == pytest.approx(spectral, abs=2e-3)
    assert semantic_entropy(frame, SelectionConfig())[0] == pytest.approx(entropy, abs=1e-3)


def test_constant_logits_are_kept_by_ifd_and_dropped_by_superfiltering() -> None:
    assert chosen("ifd", 3, reference_logprob=[-2.0, -2.2, -1.0], bare_logprob=[-2.0, -2.0, -2.0]) == ["a", "c"]
    table = ranked("superfiltering", 3, plain_logprob=[-2.0, -2.2, -1.0], plain_bare_logprob=[-2.0, -2.0, -2.0])
    assert table["left_out"].to_list() == [NO_HELP, NO_HELP, None]
    assert table["score"][2] == pytest.approx(math.exp(-1.0), abs=1e-6)


def test_ifd_is_a_ratio_of_losses_and_an_answer_without_loss_has_none() -> None:
    table = ranked("ifd", 2, reference_logprob=[-1.5, 0.0], bare_logprob=[-2.0, 0.0])
    assert table["score"][0] == 0.75
    assert table["left_out"][1] is not None


def test_half_known_references_come_first() -> None:
    logprob = [math.log(0.5), math.log(0.9), math.log(0.1), math.log(0.4)]
    assert chosen("reference_probability", 2, reference_logprob=logprob) == ["a", "d"]


def test_the_longest_and_the_middling() -> None:
    assert chosen("longest", 2, reference_tokens=[3, 50, 7, 9]) == ["b", "d"]
    assert chosen("perplexity_mid", 1, sequence_logprob=[-0.1, -2.0, -9.0]) == ["b"]
    assert chosen("upd", 1, confident_surprise=[0.1, 0.4, 0.3]) == ["b"]


def test_grounded_selection_leaves_out_what_the_backbone_cannot_reach() -> None:
    table = ranked(
        "adg_reach", 2, dispersion=[0.9, 0.5, 0.4], anisotropy=[0.5, 0.5, 0.5],
        reference_logprob=[-4.0, -1.0, -1.5], answer_logprob=[-0.5, -0.5, -0.5],
    )  # fmt: skip
    assert table["left_out"].to_list() == [OUT_OF_REACH, None, None]
    assert table["selected"].to_list() == [False, True, True]


def test_length_control_ranks_by_what_length_does_not_explain() -> None:
    lengths = np.array([1, 2, 4, 8, 16, 32, 64, 128.0])
    scores = 0.1 * np.log(lengths)
    scores[2] += 0.05
    residual = length_residual(scores, lengths)
    assert residual.argmax() == 2
    np.testing.assert_allclose(length_residual(0.3 + 0.1 * np.log(lengths) ** 2, lengths), 0, atol=1e-6)
    assert np.isfinite(length_residual([0.1, 0.2], [0, 0])).all()


def test_length_matched_random_takes_as_many_of_each_length_as_the_paper() -> None:
    rows = 40
    frame = pl.DataFrame(
        {
            "example_id": [f"{row:02d}" for row in range(rows)],
            "bin": [0] * rows,
            "dispersion": np.linspace(0, 0.8, rows),
            "anisotropy": [0.0] * rows,
            "reference_tokens": [1 + row // 2 for row in range(rows)],  # the longest diverge most
        }
    )
    arm = BUILT_IN["random_length_matched"]
    table = arm.chooses.choose(Candidates(frame), arm.config(SelectionConfig(budget=10)))
    # One stratum holds two examples, so the five longest strata are taken whole.
    assert table.filter("selected")["example_id"].to_list() == [f"{row:02d}" for row in range(30, 40)]


def test_mig_prefers_another_label_to_more_of_the_same() -> None:
    unrelated = propagation(np.eye(2, dtype=np.float32))
    picked = greedy(np.array([3.0, 2.0, 1.0]), np.array([0, 0, 1]), unrelated, 3)
    assert picked.tolist() == [0, 2, 1]  # gains: 38.0, then 12.68 for the other label against 1.28


def test_mig_spreads_over_like_labels() -> None:
    alike = propagation(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]], dtype=np.float32))
    np.testing.assert_allclose(alike.sum(axis=0), 1.0)
    picked = greedy(np.array([3.0, 2.9, 0.5]), np.array([0, 1, 2]), alike, 2)
    assert picked.tolist() == [0, 2]  # the second label is informed by the first already


def test_deita_passes_over_what_is_like_something_taken_and_fills_up_with_it() -> None:
    vectors = np.array([[1, 0], [0.99, 0.141], [0, 1], [0.1, 0.995]], dtype=np.float32)
    order = np.arange(4)
    assert filter_repetitions(vectors, order, 2).tolist() == [0, 2]
    assert filter_repetitions(vectors, order, 3).tolist() == [0, 2, 1]


def test_compression_ratios_are_those_of_zlib() -> None:
    assert compression_ratio(str([{"a": "abcdefghij" * 3}]).encode()) == pytest.approx(1.3226, abs=1e-4)


def test_zip_takes_what_repeats_least_and_nothing_twice() -> None:
    texts = [b"abcdefghij" * 30, b"the quick brown fox jumps over it", b"abcdefghij" * 30, b"pack my box with jugs now"]
    picked = least_compressible(texts, 4, first=3, second=2, taken=1).tolist()
    assert set(picked[:2]) == {1, 3}
    assert sorted(picked) == [0, 1, 2, 3]


def test_dsir_weighs_by_what_targets_hold() -> None:
    assert sum(ngram_counts("Add two numbers.").values()) == 4 + 3
    near, far = importance(["add two numbers", "write a poem"], ["add three numbers"])
    assert near > far


# Likeness of five examples to three queries, the third like the first.
LIKENESS = np.array(
    [[0.9, 0.1, 0.8], [0.8, 0.2, 0.9], [0.5, 0.9, 0.1], [0.5, 0.1, 0.7], [0.1, 0.9, 0.2]], dtype=np.float32
)


def test_queries_take_in_turns_what_is_most_like_them_and_nothing_twice() -> None:
    # First round: 0, the first of two equals 2, and 1. Then the first query's next two are 2 (taken) and 3 in order of rows.
    assert round_robin(LIKENESS, 5).tolist() == [0, 2, 1, 3, 4]
    assert round_robin(LIKENESS, 2).tolist() == [0, 2]  # in the middle of a round
    assert round_robin(LIKENESS[:, :1], 3).tolist() == [0, 1, 2]


def test_an_example_without_a_state_is_left_out_of_rds_plus() -> None:
    unknown = LIKENESS.copy()
    unknown[0] = np.nan
    frame = pl.DataFrame({"example_id": list("abcde"), "bin": [0] * 5})
    arm = BUILT_IN["rds_plus"]
    table = arm.chooses.choose(Candidates(frame, likeness=unknown), arm.config(SelectionConfig(budget=3)))
    assert table.filter("selected").sort("position")["example_id"].to_list() == ["b", "c", "d"]
    assert table["left_out"].is_not_null().to_list() == [True, False, False, False, False]


def test_t_shirt_takes_the_steadiest_of_the_hardest_of_those_that_the_instruction_helps() -> None:
    tokens = [
        [10, 4, 1],
        [10, 6, 1],
        [10, 5, 1],
        [10, 5, 1],
        [10, 5, 1],
    ]  # the second threshold keeps half of the pool's
    assert nearest_threshold(np.array(tokens)) == 1
    table = ranked(
        "t_shirt", 2, selective_tokens=tokens,  # type: ignore[arg-type]
        noisy_ifd=[0.9, 1.0, 0.9, 0.9, 0.9],
        selective_ifd=[[0.0, 0.8, 0.0], [0.0, 9.0, 0.0], [0.0, 0.7, 0.0], [0.0, 0.6, 0.0], [0.0, 0.5, 0.0]],  # type: ignore[arg-type]
        selective_ifd_spread=[[9.0, 0.3, 9.0], [9.0, 0.0, 9.0], [9.0, 0.1, 9.0], [9.0, 0.2, 9.0], [9.0, 0.0, 9.0]],  # type: ignore[arg-type]
    )  # fmt: skip
    # b isn't helped by its instruction; of the four hardest others, all go on, and e and c vary least.
    assert table.filter("selected").sort("position")["example_id"].to_list() == ["e", "c"]
    assert table["left_out"].to_list() == [None, NO_HELP, None, None, None]
    one = ranked(
        "t_shirt", 1, selective_tokens=tokens,  # type: ignore[arg-type]
        noisy_ifd=[0.9] * 5,
        selective_ifd=[[0.0, 0.8, 0.0], [0.0, 0.1, 0.0], [0.0, 0.7, 0.0], [0.0, 0.6, 0.0], [0.0, 0.5, 0.0]],  # type: ignore[arg-type]
        selective_ifd_spread=[[9.0, 0.3, 9.0], [9.0, 0.0, 9.0], [9.0, 0.1, 9.0], [9.0, 0.2, 9.0], [9.0, 0.0, 9.0]],  # type: ignore[arg-type]
    )  # fmt: skip
    assert one.filter("selected")["example_id"].to_list() == ["c"]  # of a and c, twice the budget


def test_scar_takes_what_the_ranker_scores_highest() -> None:
    assert chosen("scar", 2, ranker_score=[0.1, -0.4, 2.0]) == ["c", "a"]
