"""Comparing arms."""

from typing import Any

from pydantic import Field, field_validator

from adg_pipeline.settings.sections.base import Section


class ComparisonConfig(Section):
    """Arms against each other on benchmarks, with how sure that is."""

    arms: list[str] = Field(
        default=[],
        description="Arms to compare; if empty, all that have results of every seed, the baseline among them.",
    )
    seeds: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Trainings per arm: the seed of finetuned_checkpoint and those after it. Fewer than three tell little.",
    )
    baseline: str = Field(default="random", description="Arm that the others are compared with.")
    level: float = Field(default=0.95, gt=0, lt=1, description="Share of such intervals that hold the truth.")

    @field_validator("arms", mode="before")
    @classmethod
    def one_arm_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value
