"""T-SHIRT: instruction-following difficulty of the tokens that tell, where noise doesn't change it (arXiv 2506.01317).

A token tells where its loss changes with the instruction by more than half of the pool's tokens do. Of the examples whose
instruction helps (ratio of perplexities under noise below 1), twice the budget with the highest mean difficulty go on, and
those are taken of them that vary least under noise. The pool's median is the nearest of the kept thresholds.
"""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selectors.base import (
    Candidates,
    Scores,
    Selector,
    admit,
    in_order,
    lists,
    numbers,
    placed,
    reason_where,
)  # fmt: skip
from adg_pipeline.algorithms.selectors.ifd import NO_HELP
from adg_pipeline.settings.sections import SelectionConfig

RATIO = 0.5  # of the pool's tokens that are kept
WIDER = 2  # times the budget go on from the first step


def nearest_threshold(tokens: Scores) -> int:
    """Which threshold keeps a share of the pool's tokens nearest to `RATIO`; (N, thresholds) tokens that each keeps."""
    kept = np.nansum(tokens, axis=0)
    return int(np.argmin(np.abs(kept - RATIO * kept[0])))


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    frame = candidates.frame
    noisy = numbers(frame, "noisy_ifd")
    threshold = nearest_threshold(lists(frame, "selective_tokens"))
    difficulty, spread = lists(frame, "selective_ifd")[:, threshold], lists(frame, "selective_ifd_spread")[:, threshold]
    allowed, left_out = admit(frame, noisy + difficulty + spread, [reason_where(noisy >= 1.0, NO_HELP)], config)
    rows = np.flatnonzero(allowed)
    hardest = np.argsort(-difficulty[rows], kind="stable")[: WIDER * config.budget]
    steadiest = hardest[np.lexsort((hardest, spread[rows][hardest]))][: config.budget]
    return placed(frame, allowed, left_out, in_order(frame.filter(allowed), difficulty[rows], steadiest))


T_SHIRT = Selector(
    _choose, "arXiv 2506.01317", ("noisy_ifd", "selective_ifd", "selective_ifd_spread", "selective_tokens"), greedy=True
)
