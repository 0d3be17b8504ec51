"""Benchmark figures as people read them: in per cent, with how many questions were asked."""

from typing import Any

from adg_pipeline.store.results import Results


def figures(results: Results) -> list[dict[str, Any]]:
    """A row per figure: benchmark, metric, score and its standard error over questions in per cent, questions asked.

    A benchmark that is read in two ways has two rows; the one that doesn't count in the means says so. Of a quick look each
    row says how many questions of how many.
    """
    rows = []
    for row in results.summary().iter_rows(named=True):
        asked = f"{row['questions']:,}" if row["questions"] == row["of"] else f"{row['questions']:,} of {row['of']:,}"
        read = [
            row["metric"],
            None if row["filter"] == "none" else row["filter"],
            None if row["headline"] else "beside",
        ]
        rows.append(
            {
                "benchmark": row["name"],
                "metric": ", ".join(filter(None, read)) or "mean",
                "score": round(100 * row["value"], 2),
                "standard error": None if row["stderr"] is None else round(100 * row["stderr"], 2),
                "questions": asked,
            }
        )
    return rows


def quick_look(limit: int) -> str:
    """What must stand beside any figure of a quick look."""
    return f"a quick look: the first {limit} questions of each task and subtask, not the benchmark"
