"""Ideas that were tried against the worst noise, and simpler rivals of grounded ADG. None of them is in the product: a world
of known truth is where they have to show something first.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from adg_pipeline.algorithms.arms import Arm
from adg_pipeline.algorithms.selectors import Selector, adg
from adg_pipeline.algorithms.selectors.base import Scores, by_score, lists, numbers, reason_where
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 6
NEIGHBOURS = 10
_GATE = {"reach": -1.0}
_GROUNDED = {"length_control": True, **_GATE}
_ADG_SIGNALS = ("dispersion", "anisotropy")


def surprise_of_own_answers(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """Mean token loss of the sampled answers: how unsure the backbone is, without any vector."""
    return -numbers(frame, "answer_logprob").round(DECIMALS)


def near_answers(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """The paper's score, less where the reference's vector lies far from every sampled answer's."""
    score: Scores = (adg.score(frame, config) * np.exp(-numbers(frame, "nearest_answer") / 0.3)).round(DECIMALS)
    return score


def no_likelier_than_own(frame: pl.DataFrame, config: SelectionConfig) -> pl.Series:
    """The other side of the reach gate: bars what the backbone finds likelier than what it says itself."""
    gap = numbers(frame, "reference_logprob") - numbers(frame, "answer_logprob")
    return reason_where(gap > 0.0, "the backbone finds it likelier than its own answers")


def other_than_the_majority(frame: pl.DataFrame, config: SelectionConfig) -> pl.Series:
    """Bars references that are what most of the answers say: either known already, or the backbone's own mistake."""
    majority = [Counter(answers).most_common(1)[0][0] for answers in frame["answers"].to_list()]
    return reason_where((frame["output"].str.strip_chars() == pl.Series(majority)).to_numpy(), "the majority's answer")


def agreement_with_neighbours(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    """The paper's score by how well the step from the answers to the reference agrees with those of the nearest examples.

    What a pool teaches again and again pulls answers one way; a mistake pulls its own. (N,) mean cosine to the steps of the
    `NEIGHBOURS` examples with the likest instruction, held to 0 and more.
    """
    assert "vector" in frame.columns
    unit = _unit(lists(frame, "step"))
    vectors = _unit(lists(frame, "vector"))
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.argsort(-likeness.round(5), axis=1, kind="stable")[:, :NEIGHBOURS]
    agreement = np.einsum("nd,nkd->nk", unit, unit[nearest]).mean(axis=1)
    score: Scores = (adg.score(frame, config) * np.maximum(agreement, 0.0)).round(DECIMALS)
    return score


def gained(column: str) -> Callable[[pl.DataFrame, SelectionConfig], Scores]:
    """How much likelier the reference got by tuning on picks from the other half of the pool (`gains`)."""
    return lambda frame, config: numbers(frame, column).round(DECIMALS)


def _unit(vectors: Scores) -> Scores:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _likely(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
    probability = np.exp(numbers(frame, "reference_logprob"))
    score: Scores = (probability * (1.0 - probability)).round(DECIMALS)
    return score


SELECTORS: Mapping[str, Selector] = {
    "own_surprise": Selector(by_score(surprise_of_own_answers), "predictive entropy", ("answer_logprob",)),
    "near_answers": Selector(by_score(near_answers), "own", (*_ADG_SIGNALS, "nearest_answer")),
    "two_sided": Selector(by_score(adg.score, no_likelier_than_own), "own", _ADG_SIGNALS),
    "no_majority": Selector(by_score(adg.score, other_than_the_majority), "own", _ADG_SIGNALS),
    "neighbours": Selector(by_score(agreement_with_neighbours), "own", (*_ADG_SIGNALS, "step"), vectors=True),
    "reference_probability": Selector(by_score(_likely), "half-known references", ("reference_logprob",)),
    "gain_1": Selector(by_score(gained("gain_1")), "own; reducible loss, arXiv 2206.07137", ("gain_1",)),
    "gain_2": Selector(by_score(gained("gain_2")), "own; reducible loss, arXiv 2206.07137", ("gain_2",)),
}

ARMS: Mapping[str, Arm] = {
    "grounded_no_bins": Arm("grounded ADG over the whole pool", {**_GROUNDED, "bins": "none"}),
    "dispersion_grounded": Arm("dispersion alone, grounded", {**_GROUNDED, "weight": 0.0}),
    "own_surprise": Arm("unsure of its own answers", {"selector": "own_surprise", "bins": "none"}),
    "own_surprise_grounded": Arm("the same, grounded", {"selector": "own_surprise", "bins": "none", **_GROUNDED}),
    "own_surprise_reach": Arm("the same, reach gate alone", {"selector": "own_surprise", "bins": "none", **_GATE}),
    "upd_reach": Arm("surprising where it is sure, with the reach gate", {"selector": "upd", "bins": "none", **_GATE}),
    "half_known_reach": Arm(
        "p (1 - p) with the reach gate", {"selector": "reference_probability", "bins": "none", **_GATE}
    ),
    "near_reach": Arm("ADG near the reference, with the reach gate", {"selector": "near_answers", **_GATE}),
    "two_sided": Arm("grounded, and no likelier than its own answers", {"selector": "two_sided", **_GROUNDED}),
    "no_majority": Arm("grounded, and not what most answers say", {"selector": "no_majority", **_GROUNDED}),
    "neighbours": Arm("grounded, times agreement with neighbours", {"selector": "neighbours", **_GROUNDED}),
    "gain_1": Arm("what gets likelier by tuning on others", {"selector": "gain_1", "bins": "none", **_GATE}),
    "gain_2": Arm("the same, tuned on what gained most before", {"selector": "gain_2", "bins": "none", **_GATE}),
    "gain_2_no_gate": Arm("the same without the reach gate", {"selector": "gain_2", "bins": "none"}),
}
# These read gains, each of which costs two trainings and a scoring of the pool.
WITH_GAINS = ("gain_1", "gain_2", "gain_2_no_gate")
