"""What is told of an example's text alone: whether another is nearly the same."""

from typing import Literal

from pydantic import Field

from adg_pipeline.settings.sections.base import Section


class FingerprintConfig(Section):
    """What examples are compared by, without any model. Computed where `selected_subset` reads it."""

    RECIPE = ("text", "words")

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
