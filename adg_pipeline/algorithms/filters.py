"""Examples that a selection must not contain, and why."""

from collections.abc import Mapping

import polars as pl

from adg_pipeline.settings.sections import SelectionConfig

REASONS: Mapping[str, str] = {
    "unscored": "its answers are missing or could not be embedded",
    "empty_answers": "more of its answers are empty than max_empty_answers",
    "few_distinct_answers": "fewer of its answers are distinct than min_distinct_answers",
    "output_too_short": "its reference output is shorter than min_output_chars",
    "output_too_long": "its reference output is longer than max_output_chars",
    "not_counted": "its tokens could not be counted: the template refuses it",
    "too_few_tokens": "it has fewer tokens than min_tokens",
    "too_many_tokens": "it has more tokens than max_tokens",
}


def filter_reasons(frame: pl.DataFrame, config: SelectionConfig) -> pl.Series:
    """Why each example is left out: a key of `REASONS`, the first that applies in their order, or null if it stays.

    Args:
        frame: columns dispersion and anisotropy (null or NaN where unscored), empty_answers, distinct_answers,
            output_chars, and tokens where they are counted; one row per example.
        config: the thresholds.
    """
    faults = {
        "unscored": ~(pl.col("dispersion").is_finite() & pl.col("anisotropy").is_finite()).fill_null(False),
        "empty_answers": pl.col("empty_answers") > config.max_empty_answers,
        "few_distinct_answers": pl.col("distinct_answers") < config.min_distinct_answers,
        "output_too_short": pl.col("output_chars") < config.min_output_chars,
    }
    if config.max_output_chars is not None:
        faults["output_too_long"] = pl.col("output_chars") > config.max_output_chars
    if "tokens" in frame.columns:
        faults["not_counted"] = pl.col("tokens").is_null()
    if config.min_tokens is not None:
        faults["too_few_tokens"] = pl.col("tokens") < config.min_tokens
    if config.max_tokens is not None:
        faults["too_many_tokens"] = pl.col("tokens") > config.max_tokens
    found = [pl.when(fault).then(pl.lit(reason)) for reason, fault in faults.items()]
    return frame.select(pl.coalesce(found).alias("filter_reason")).to_series()
