"""What the UI shows of a comparison: who is better, the figures, and where the page lies."""

from pathlib import Path
from typing import Any

import dagster as dg

from adg_pipeline.report.comparison.content import Comparison
from adg_pipeline.report.comparison.publish import PAGE, markdown_table
from adg_pipeline.report.comparison.standing import verdicts


def comparison_shown(comparison: Comparison, directory: Path) -> dict[str, Any]:
    said = "\n".join(
        f"- **{row['arm']}** {row['says']}: {row['difference']} points ({row['interval']}), {row['p']}"
        for row in verdicts(comparison)
    )
    quick = {"quick_look": f"the first {comparison.limit} questions of each task"} if comparison.limit else {}
    return {
        "verdict": dg.MetadataValue.md(said),
        **quick,
        "figures": dg.MetadataValue.md(markdown_table(comparison)),
        "seeds": len(comparison.seeds),
        "page": dg.MetadataValue.path(str(directory / PAGE)),
    }
