"""T-SHIRT (arXiv 2506.01317): SuperFiltering's ratio over the tokens that tell, steady under noise on the embeddings.

Of the examples whose mean noisy ratio is under 1, the 2k with the largest mean; of these the k with the smallest deviation.
"""

import numpy as np
import polars as pl

from adg_pipeline.algorithms.selectors.base import Candidates, Selector, admit, in_order, numbers, placed, reason_where
from adg_pipeline.algorithms.selectors.ifd import NO_HELP
from adg_pipeline.settings.sections import SelectionConfig

DECIMALS = 6


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    frame = candidates.frame
    mean = numbers(frame, "noisy_ifd").round(DECIMALS)
    deviation = numbers(frame, "noisy_ifd_deviation").round(DECIMALS)
    no_help = reason_where(mean >= 1.0, NO_HELP)
    allowed, left_out = admit(frame, mean + deviation, [no_help], config)
    mean, deviation = mean[allowed], deviation[allowed]
    largest = np.argsort(-mean, kind="stable")[: 2 * config.budget]
    picked = np.sort(largest)[np.argsort(deviation[np.sort(largest)], kind="stable")[: config.budget]]
    return placed(frame, allowed, left_out, in_order(frame.filter(allowed), mean, picked))


T_SHIRT = Selector(_choose, "arXiv 2506.01317", ("noisy_ifd", "noisy_ifd_deviation"))
