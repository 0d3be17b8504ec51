"""Watching the pool."""

from pydantic import Field

from adg_pipeline.settings.sections.base import Section


class SensorConfig(Section):
    """How the pool is watched."""

    interval_seconds: int = Field(default=10, ge=1, le=86_400, description="Seconds between two looks of a sensor.")
    settle_seconds: float = Field(
        default=3.0, ge=0, description="A file is taken once it hasn't changed for this long and between two looks."
    )
    max_shards_per_run: int = Field(
        default=8, ge=1, le=10_000, description="Shards per run: the model is opened once for all of them."
    )
    arms: list[str] = Field(default=["adg"], description="Arms renewed when the scores have changed.")
