"""The comparison of arms as one page, a Markdown table and Parquet: `gather` reads the store, `publish` writes it all."""

from adg_pipeline.report.comparison.content import Comparison
from adg_pipeline.report.comparison.gather import gather
from adg_pipeline.report.comparison.publish import markdown_table, page, publish

__all__ = ["Comparison", "gather", "markdown_table", "page", "publish"]
