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
    """about: in words. settings: fields of `SelectionConfig` in which it differs."""

    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chooses(self) -> Selector:
        return SELECTORS[self.settings.get("selector", "adg")]

    def config(self, section: SelectionConfig) -> SelectionConfig:
        """The section as this arm has it."""
        return SelectionConfig.model_validate({**section.model_dump(), **self.settings})


_WHOLE_POOL = {"bins": "none"}

BUILT_IN: Mapping[str, Arm] = {
    "adg": Arm("the paper's method"),
    "adg_grounded": Arm(
        "the paper's score, controlled for length, among references that the backbone can reach",
        {"length_control": True, "reach": -1.0},
    ),
    "adg_length_control": Arm("the paper's score, controlled for length", {"length_control": True}),
    "adg_reach": Arm("the paper's score among references that the backbone can reach", {"reach": -1.0}),
    "adg_dispersion": Arm("dispersion only", {"weight": 0.0}),
    "adg_anisotropy": Arm("anisotropy only", {"weight": 1.0}),
    "adg_no_bins": Arm("one ranking of the whole pool", _WHOLE_POOL),
    "adg_random_bins": Arm("random bins of the same sizes", {"bins": "random"}),
    "adg_middle": Arm("the middle of each bin", {"rank": "middle"}),
    "adg_bottom": Arm("the bottom of each bin", {"rank": "bottom"}),
    "adg_released": Arm("the quotas of the released code, which miss the budget", {"quota": "released"}),
    "adg_k3": Arm("the first three answers only", {"first_answers": 3}),
    "random": Arm("at random", {"selector": "random", **_WHOLE_POOL}),
    "random_length_matched": Arm("at random, as long as the paper's pick", {"selector": "random_length_matched"}),
    "longest": Arm("the longest references", {"selector": "longest", **_WHOLE_POOL}),
    "ifd": Arm("instruction-following difficulty", {"selector": "ifd", **_WHOLE_POOL}),
    "superfiltering": Arm(
        "ratio of perplexities with and without the instruction", {"selector": "superfiltering", **_WHOLE_POOL}
    ),
    "perplexity_mid": Arm("middling perplexity", {"selector": "perplexity", **_WHOLE_POOL, "rank": "middle"}),
    "upd": Arm("surprising where the backbone is sure", {"selector": "upd", **_WHOLE_POOL}),
    "reference_probability": Arm(
        "references that the backbone half knows", {"selector": "reference_probability", **_WHOLE_POOL}
    ),
    "eigenscore": Arm("mean log eigenvalue of the answers", {"selector": "eigenscore", **_WHOLE_POOL}),
    "semantic_entropy": Arm("entropy over clusters of the answers", {"selector": "semantic_entropy", **_WHOLE_POOL}),
    "mig": Arm("information gain over bins, of the paper's score", {"selector": "mig"}),
    "deita_filter": Arm("the paper's score without near repetitions", {"selector": "deita_filter"}),
    "zip": Arm("the subset that compresses worst", {"selector": "zip"}),
    "t_shirt": Arm("difficulty of the tokens that tell, where noise doesn't change it", {"selector": "t_shirt"}),
    "dsir": Arm("importance resampling towards the queries", {"selector": "dsir", **_WHOLE_POOL}),
    "rds_plus": Arm("in turns what is most like each query", {"selector": "rds_plus"}),
    "given": Arm("a list that somebody made", {"selector": "given"}),
    "scar": Arm("style that models learn well from, by a ranker of the user's", {"selector": "scar", **_WHOLE_POOL}),
}


class Arms(dict[str, Arm]):
    """Arms by name. Besides those that are listed it has ``ARM-N`` of each: the same with a budget of N."""

    def __missing__(self, name: str) -> Arm:
        family, dash, budget = name.rpartition("-")
        if not dash or not budget.isdigit() or budget.startswith("0") or not dict.__contains__(self, family):
            raise KeyError(name)
        of_family = self[family]
        differs = {**of_family.settings, "budget": int(budget), "budget_tokens": None}
        return Arm(f"{of_family.about}; {int(budget):,} examples", differs)

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self[name] is not None
        except KeyError:
            return False


def with_budget(arm: str, budget: int) -> str:
    """Name of the arm with that budget."""
    return f"{arm}-{budget}"


def arms(of_user: Mapping[str, Mapping[str, Any]]) -> Arms:
    """Every arm by name: the built-in ones, and those of adg.yaml, which may differ further from a built-in one."""
    known = Arms(BUILT_IN)
    for name, differs in of_user.items():
        before = known[name] if name in known else Arm("of adg.yaml")
        known[name] = Arm(before.about, {**before.settings, **differs})
    return known
