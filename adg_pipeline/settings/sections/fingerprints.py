"""What is told of an example's text alone: whether another is nearly the same."""

from typing import Literal

from pydantic import Field

from adg_pipeline.settings.sections.base import Section


class FingerprintConfig(Section):
    """What examples are compared by, without any model. Computed where `selected_subset` reads it."""

    RECIPE = ("text", "words")
    RECIPE_IF_SET = ("benchmarks", "benchmark_rule", "benchmark_text", "benchmark_words", "benchmark_coverage")

    text: Literal["question", "question_and_answer"] = Field(
        default="question",
        description="What near duplicates have in common: instruction and input, of a conversation all but its last answer; "
        "or that and the reference.",
    )
    words: int = Field(
        default=3,
        ge=1,
        le=16,
        description="Length of the word n-grams that texts are compared by. Longer ones find fewer duplicates among short "
        "texts.",
    )
    benchmarks: list[str] = Field(
        default=[],
        description="What examples may not give away: folders as `adg benchmarks prepare` takes or fills, files in any pool "
        "format. Which examples do is told of each shard; `selected_subset.decontaminate` leaves them out.",
    )
    benchmark_rule: Literal["datatrove", "tulu3"] = Field(
        default="datatrove",
        description="datatrove: one n-gram of 12 words in common is a hit. tulu3: n-grams of 8 words in common cover half of "
        "a benchmark's item. In both, the same question is one.",
    )
    benchmark_text: Literal["question", "answer", "both"] = Field(
        default="both", description="What of a benchmark's item is looked for."
    )
    benchmark_words: int | None = Field(
        default=None, ge=4, le=64, description="Length of the n-grams; the rule's if not set."
    )
    benchmark_coverage: float | None = Field(
        default=None, ge=0, le=1, description="Share of an item's words to be covered, 0: any; the rule's if not set."
    )
