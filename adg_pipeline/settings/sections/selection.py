"""Selecting the subset."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from adg_pipeline.settings.sections.base import Section
from adg_pipeline.settings.sections.curation import CurationConfig


class ChoiceConfig(Section):
    """Which examples an arm chooses, and how many."""

    RECIPE: ClassVar[tuple[str, ...]] = (
        "budget", "weight", "rank", "quota", "seed",
        "max_empty_answers", "min_distinct_answers", "min_output_chars", "max_output_chars",
    )  # fmt: skip
    RECIPE_IF_SET: ClassVar[tuple[str, ...]] = (
        "selector", "bins", "length_control", "reach", "first_answers", "queries", "given",
        "budget_tokens", "source_quotas", "source_weights",
    )  # fmt: skip

    budget: int = Field(
        default=10_000,
        ge=1,
        description="Examples to select. One that is set may not exceed the pool; the default may.",
    )
    budget_tokens: int | None = Field(
        default=None,
        ge=1,
        le=10**12,
        description="A budget in tokens of the backbone instead, prompts and references: as many examples as fit are "
        "selected, whatever `budget` says.",
    )
    source_quotas: dict[str, int] = Field(
        default={},
        description="Examples of a source, exactly, such as {flan: 500}; 0 for none. The other sources share the rest.",
    )
    source_weights: dict[str, float] = Field(
        default={},
        description="The budget in proportion, such as {alpaca: 3, flan: 1}, after the quotas. Sources that have neither get "
        "nothing; what one can't fill goes to the others.",
    )
    selector: str = Field(default="adg", description="How examples are chosen; `adg arms` names each arm's.")
    weight: float = Field(default=0.4, ge=0, le=1, description="λ: weight of anisotropy; dispersion has 1 - λ.")
    rank: Literal["top", "middle", "bottom"] = Field(
        default="top", description="Which part of each bin's ranking to take."
    )
    quota: Literal["largest_remainder", "released"] = Field(
        default="largest_remainder",
        description="largest_remainder meets the budget exactly; released floors as the paper's code.",
    )
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed of selectors that draw at random.")
    bins: Literal["semantic", "random", "none"] = Field(
        default="semantic",
        description="Quotas by semantic bin, by random bins of the same sizes (a control), or one ranking of the pool.",
    )
    length_control: bool = Field(
        default=False,
        description="Rank by what of the score the length of the sampled answers doesn't explain (least squares).",
    )
    reach: float | None = Field(
        default=None,
        le=0,
        description="Keep examples whose reference is about as likely to the backbone as its own answers: mean token "
        "log-probability of the reference, less that of the answers, at least this. All if not set.",
    )
    first_answers: int | None = Field(
        default=None, ge=2, le=64, description="Score the first so many of the K answers; all if not set."
    )
    queries: str | None = Field(
        default=None,
        description="dsir, rds_plus: a pool file (any format) of examples that the subset is meant to help with.",
    )
    given: str | None = Field(
        default=None,
        description="given: a file that lists the subset, the best first: ids, one a line, or examples in any pool format.",
    )
    max_empty_answers: int = Field(
        default=0, ge=0, le=64, description="Examples with more empty answers than this are not selected."
    )
    min_distinct_answers: int = Field(
        default=1, ge=1, le=64, description="Examples with fewer distinct answers than this are not selected."
    )
    min_output_chars: int = Field(default=1, ge=0, description="Shortest reference output, in characters.")
    max_output_chars: int | None = Field(
        default=None, ge=1, description="Longest reference output, in characters; none if not set."
    )
    stability_examples: int = Field(
        default=100_000,
        ge=0,
        description="Examples of which a manifest's `stability` is worked out: of a larger pool so many are taken. 0 leaves "
        "it out, and with it the reading of all answers' cosines.",
    )
    history: int = Field(
        default=10, ge=0, le=1000, description="Replaced subsets that are kept per arm (`adg subset list`)."
    )


class SelectionConfig(CurationConfig, ChoiceConfig):
    """Which examples make the subset."""

    @model_validator(mode="after")
    def budgets_fit_together(self) -> "SelectionConfig":
        quotas, weights = self.source_quotas, self.source_weights
        if wrong := {name: value for name, value in quotas.items() if value < 0}:
            raise ValueError(f"source_quotas: a quota is 0 or more: {wrong}")
        if wrong_weights := {name: value for name, value in weights.items() if not 1e-6 <= value <= 1e6}:
            raise ValueError(f"source_weights: a weight is 0.000001 to 1,000,000: {wrong_weights}")
        if both := sorted(set(quotas) & set(weights)):
            raise ValueError(f"{both[0]} has a quota and a weight: leave one out")
        if quotas and self.budget_tokens is not None:
            raise ValueError("source_quotas are examples and budget_tokens are tokens: use source_weights, or budget")
        if (asked := sum(quotas.values())) > self.budget:
            terms = " + ".join(f"{value:,}" for value in quotas.values())
            raise ValueError(f"source_quotas ask for {terms} = {asked:,} examples, and budget is {self.budget:,}")
        if self.min_tokens is not None and self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise ValueError(
                f"min_tokens is {self.min_tokens:,} and max_tokens {self.max_tokens:,}: nothing lies between"
            )
        return self

    # The fields of the last base come first, where keys are listed.
    RECIPE_IF_SET = (*ChoiceConfig.RECIPE_IF_SET, *CurationConfig.RECIPE_IF_SET)
