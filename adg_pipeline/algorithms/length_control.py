"""Length control: what of a score is more than the length of the sampled answers would make anyone expect.

Long answers lie far apart for any backbone, so a pool's open-ended requests fill a subset whatever they teach.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A residual comes out of sums over the pool, whose rounding is near 1e-12: kept to this many decimals it can't depend on
# the machine, and ties are ties.
DECIMALS = 6


def length_residual(scores: ArrayLike, lengths: ArrayLike) -> NDArray[np.float64]:
    """Residuals of least squares of (N,) scores on 1, ln L and (ln L)², rounded; L: mean tokens of the answers, (N,).

    The fit is over all rows given, in their order: sort them by id, and it depends on neither shards nor order. Answers
    without any token count as one token long.
    """
    score = np.asarray(scores, dtype=np.float64)
    log_length = np.log(np.maximum(np.asarray(lengths, dtype=np.float64), 1.0))
    design = np.stack([np.ones_like(log_length), log_length, log_length**2], axis=1)
    coefficients, *_ = np.linalg.lstsq(design, score, rcond=None)
    residual: NDArray[np.float64] = (score - design @ coefficients).round(DECIMALS)
    return residual + 0.0  # no negative zero, which would sort apart
