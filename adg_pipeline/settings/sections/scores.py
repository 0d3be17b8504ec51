"""Scoring the answers' divergence."""

from pydantic import Field

from adg_pipeline.settings.sections.base import Section


class ScoreConfig(Section):
    """Dispersion and anisotropy of each instruction's K answers."""

    RECIPE = ("noise_floor", "decimals", "mode_distance")

    noise_floor: float = Field(
        default=1e-9, ge=0, lt=1, description="Dispersion below this is rounding of equal answers: counted as 0."
    )
    decimals: int = Field(default=4, ge=3, le=12, description="Decimals kept of each score, above float noise.")
    mode_distance: float = Field(
        default=0.3, gt=0, le=2, description="Answers closer than this (Euclidean, unit vectors) count as one mode."
    )
    max_indistinct_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of a shard's examples whose answers may differ and yet have D = 0 before the shard fails.",
    )
