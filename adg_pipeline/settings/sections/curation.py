"""What a selection leaves out or keeps, whatever its arm."""

from typing import ClassVar

from pydantic import Field

from adg_pipeline.settings.sections.base import Section


class CurationConfig(Section):
    """Options of every arm. All are off by default; exact duplicates count once always."""

    RECIPE_IF_SET: ClassVar[tuple[str, ...]] = (
        "near_duplicates", "semantic_duplicates", "decontaminate", "without", "must_keep",
        "min_tokens", "max_tokens",
    )  # fmt: skip

    near_duplicates: float | None = Field(
        default=None,
        ge=0.7,
        le=1,
        description="Examples whose texts (`fingerprints.text`) are at least so alike count once, the best by score stays: "
        "Jaccard similarity of their word n-grams. All count if not set.",
    )
    semantic_duplicates: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Likewise examples of one semantic bin whose instructions' vectors have at least this cosine; all count "
        "if not set.",
    )
    decontaminate: bool = Field(
        default=False, description="Leave out examples that give away an item of `fingerprints.benchmarks`."
    )
    without: list[str] = Field(
        default=[],
        description="Leave out what is in these: files in any pool format, another arm's subset.parquet, or lists of ids, "
        "one a line (.txt). The same content is left out, and with `near_duplicates` what is as alike as that.",
    )
    min_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Shortest example, prompt and reference, in tokens of the backbone; none if not set.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Longest example, likewise, such as what a training's window holds; none if not set.",
    )
    must_keep: str | None = Field(
        default=None,
        description="A list of examples that the subset must have: ids, one a line (.txt), or examples in any pool format. "
        "They count against the budget and take the places of those that the arm chose last.",
    )
