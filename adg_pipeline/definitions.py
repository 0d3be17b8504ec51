"""The code location: `defs` is what Dagster loads, `build_defs` makes one with other settings or resources."""

from adg_pipeline.assets.graph import build_defs

__all__ = ["build_defs", "defs"]

defs = build_defs()
