"""Arms: named ways to make a subset, each a selector with settings that differ from those of `selected_subset`.

`adg` is the paper's method. Those of ADG tell which part of it does the work; the others are what it is compared with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adg_pipeline.algorithms.selectors import SELECTORS, Selector
from adg_pipeline.settings.sections import SelectionConfig


@dataclass(frozen=True)
class Arm:
    """selector: key of `SELECTORS`. settings: fields of `SelectionConfig` in which the arm differs."""

    selector: str
    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chooses(self) -> Selector:
        return SELECTORS[self.selector]

    def config(self, section: SelectionConfig) -> SelectionConfig:
        """The section as this arm has it."""
        return SelectionConfig.model_validate({**section.model_dump(), **self.settings})


_WHOLE_POOL = {"bins": "none"}

BUILT_IN: Mapping[str, Arm] = {
    "adg": Arm("adg", "the paper's method"),
    "adg_grounded": Arm(
        "adg",
        "the paper's score, controlled for length, among references that the backbone can reach",
        {"length_control": True, "reach": -1.0},
    ),
    "adg_length_control": Arm("adg", "the paper's score, controlled for length", {"length_control": True}),
    "adg_reach": Arm("adg", "the paper's score among references that the backbone can reach", {"reach": -1.0}),
    "adg_dispersion": Arm("adg", "dispersion only", {"weight": 0.0}),
    "adg_anisotropy": Arm("adg", "anisotropy only", {"weight": 1.0}),
    "adg_no_bins": Arm("adg", "one ranking of the whole pool", _WHOLE_POOL),
    "adg_random_bins": Arm("adg", "random bins of the same sizes", {"bins": "random"}),
    "adg_middle": Arm("adg", "the middle of each bin", {"rank": "middle"}),
    "adg_bottom": Arm("adg", "the bottom of each bin", {"rank": "bottom"}),
    "adg_released": Arm("adg", "the quotas of the released code, which miss the budget", {"quota": "released"}),
    "adg_k3": Arm("adg", "the first three answers only", {"first_answers": 3}),
    "random": Arm("random", "at random", _WHOLE_POOL),
    "random_length_matched": Arm("random_length_matched", "at random, as long as the paper's pick"),
    "longest": Arm("longest", "the longest references", _WHOLE_POOL),
    "ifd": Arm("ifd", "instruction-following difficulty", _WHOLE_POOL),
    "superfiltering": Arm("superfiltering", "ratio of perplexities with and without the instruction", _WHOLE_POOL),
    "perplexity_mid": Arm("perplexity", "middling perplexity", {**_WHOLE_POOL, "rank": "middle"}),
    "upd": Arm("upd", "surprising where the backbone is sure", _WHOLE_POOL),
    "reference_probability": Arm("reference_probability", "references that the backbone half knows", _WHOLE_POOL),
    "eigenscore": Arm("eigenscore", "mean log eigenvalue of the answers", _WHOLE_POOL),
    "semantic_entropy": Arm("semantic_entropy", "entropy over clusters of the answers", _WHOLE_POOL),
    "mig": Arm("mig", "information gain over bins, of the paper's score"),
    "deita_filter": Arm("deita_filter", "the paper's score without near repetitions"),
    "zip": Arm("zip", "the subset that compresses worst"),
    "dsir": Arm("dsir", "importance resampling towards the queries", _WHOLE_POOL),
    "rds_plus": Arm("rds_plus", "nearest to the queries, in turn"),
}
