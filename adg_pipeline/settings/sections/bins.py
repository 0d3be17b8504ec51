"""Binning the instructions."""

from pydantic import Field

from adg_pipeline.settings.sections.base import Section


class BinConfig(Section):
    """Semantic bins: k-means over instruction embeddings."""

    RECIPE = ("bins", "examples_per_bin", "seed", "n_init", "max_iter", "fit_sample")

    bins: int = Field(default=1000, ge=1, le=100_000, description="Most bins.")
    examples_per_bin: int = Field(
        default=50, ge=1, description="Fewest examples per bin on average: a small pool gets fewer bins (pool / this)."
    )
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed of k-means.")
    n_init: int = Field(default=3, ge=1, le=100, description="Starts of k-means; the best is kept.")
    max_iter: int = Field(default=100, ge=1, le=10_000, description="Passes over the data at most.")
    fit_sample: int = Field(
        default=500_000,
        ge=1000,
        description="Vectors that centroids are fitted on; a larger pool is sampled by example id.",
    )
    refit: bool = Field(default=False, description="Fit new centroids now. Otherwise they stay while the pool grows.")
    refit_drift: float = Field(
        default=0.15,
        gt=0,
        description="Refit when the mean squared distance of examples to their centroid has grown by this share.",
    )
    refit_growth: float = Field(
        default=2.0, gt=1, description="Refit when the pool has grown by this factor since the centroids were fitted."
    )
