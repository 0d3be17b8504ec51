"""The reference losses of one shard: scored a block of examples at a time, counted, and refused where too many fail."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from adg_pipeline.errors import ShardFault
from adg_pipeline.resources.generators.base import LOCAL_SCORER, Generator, GeneratorError
from adg_pipeline.resources.generators.schema import FAILED, OK, PROMPT_TOO_LONG
from adg_pipeline.resources.losses.block import DECIMALS, Block
from adg_pipeline.resources.losses.ranker import Ranker
from adg_pipeline.resources.losses.schema import REFERENCE_LOSSES_SCHEMA
from adg_pipeline.settings.sections import ReferenceLossConfig

# Examples whose passages are scored at a time: bounds memory, and gives the engine enough to sort by length.
BLOCK = 512
# Thresholds of the reach gate that the share of examples within is told of.
GAPS = (-0.5, -1.0, -2.0, -3.0)


def score_references(
    examples: pa.Table,
    answers: pa.Table,
    generator: Generator,
    config: ReferenceLossConfig,
    progress: Callable[[int, int], None] | None = None,
    *,
    known: pa.Table | None = None,
    ranker: Ranker | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """A table of `REFERENCE_LOSSES_SCHEMA`, in the order of ``examples``, and what to say of it.

    Args:
        examples: a raw pool table.
        answers: the shard's generations. Their log-probabilities are taken where they were kept and the backbone
            scores; otherwise the answers are scored as well.
        generator: an open generator, the scorer.
        progress: called with (examples done, examples in all).
        known: an earlier table of the same examples and answers: what it holds isn't computed again.
        ranker: that of ``config.ranker``.

    Raises:
        GeneratorError: the engine can't score a given text, or doesn't show the model whose states are asked for.
        ShardFault: more examples failed than ``config.max_failed_share`` allows. Those too long for the context don't
            count as failed.
    """
    if generator.template is None:
        raise GeneratorError(
            "references are scored token by token, and the tokenizer isn't at hand: set `generations.backbone`, or "
            f"{LOCAL_SCORER}"
        )
    records, sampled = examples.to_pylist(), {row["example_id"]: row for row in answers.to_pylist()}
    before = {row["example_id"]: row for row in known.to_pylist()} if known is not None else {}
    rows: list[dict[str, Any]] = []
    for start in range(0, len(records), BLOCK):
        of_block = records[start : start + BLOCK]
        block = Block(of_block, sampled, before, generator, config)
        for share in block.score(ranker):
            if progress:
                progress(start + int(share * len(of_block)), len(records))
        rows += block.rows
        _require_few_failures(rows, len(records), config.max_failed_share)
    return pa.Table.from_pylist(rows, schema=REFERENCE_LOSSES_SCHEMA), _facts(rows)


def _facts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, and how the references compare with the answers: what a reach gate passes at some thresholds."""
    scored = [row for row in rows if row["status"] == OK]
    gaps = np.array(
        [
            row["reference_logprob"] - row["answer_logprob"]
            for row in scored
            if row.get("reference_logprob") is not None and row.get("answer_logprob") is not None
        ]
    )
    within = (
        {f"share_within_{-limit:g}": round(float((gaps >= limit).mean()), 4) for limit in GAPS} if len(gaps) else {}
    )
    return {
        "scored": len(scored),
        "failed": sum(row["status"] == FAILED for row in rows),
        "too_long": sum(row["status"] == PROMPT_TOO_LONG for row in rows),
        "reference_tokens": sum(row["reference_tokens"] for row in scored),
        "median_gap": round(float(np.median(gaps)), DECIMALS) if len(gaps) else None,
        **within,
    }


def _require_few_failures(rows: Sequence[Mapping[str, Any]], total: int, most: float) -> None:
    reasons = [row["reason"] for row in rows if row["status"] == FAILED]
    if len(reasons) > most * total:
        first = "; ".join(list(dict.fromkeys(reasons))[:3])
        raise ShardFault(
            f"{len(reasons)} of {total} references could not be scored, more than reference_losses.max_failed_share = "
            f"{most:g} allows. First reasons: {first}"
        )
