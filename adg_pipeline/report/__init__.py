"""What the UI shows of each asset: counts, column schemas, sample tables, pictures."""

from adg_pipeline.report.columns import (
    FINGERPRINT_COLUMNS,
    GENERATIONS_COLUMNS,
    RAW_POOL_COLUMNS,
    REFERENCE_COLUMNS,
    SCORE_COLUMNS,
    SUBSET_COLUMNS,
    TOKEN_COLUMNS,
    VECTOR_COLUMNS,
)
from adg_pipeline.report.comparison.shown import comparison_shown
from adg_pipeline.report.describe import (
    benchmarks,
    bins,
    checkpoint,
    fingerprints,
    generations,
    raw_pool,
    references,
    scores,
    selection,
    token_counts,
    vectors,
)

__all__ = [
    "FINGERPRINT_COLUMNS",
    "GENERATIONS_COLUMNS",
    "RAW_POOL_COLUMNS",
    "REFERENCE_COLUMNS",
    "SCORE_COLUMNS",
    "SUBSET_COLUMNS",
    "TOKEN_COLUMNS",
    "VECTOR_COLUMNS",
    "benchmarks",
    "bins",
    "checkpoint",
    "comparison_shown",
    "fingerprints",
    "generations",
    "raw_pool",
    "references",
    "scores",
    "selection",
    "token_counts",
    "vectors",
]
