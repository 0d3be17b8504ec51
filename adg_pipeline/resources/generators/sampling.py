"""Drawing the next token: the warpers as Hugging Face defines them, then one uniform number per row.

A row's numbers come from a stream of its own, keyed by the sample's seed and counted by the step, so that a draw
depends on that row's logits, seed and step only: not on what shares its batch, nor on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def uniform_streams(seeds: Sequence[int], steps: int) -> NDArray[np.float64]:
    """(len(seeds), steps) numbers in [0, 1), each row from the counter-based generator Philox keyed by its seed."""
    streams = np.empty((len(seeds), steps))
    for row, seed in enumerate(seeds):
        np.random.Generator(np.random.Philox(key=seed)).random(out=streams[row])
    return streams


def draw_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """(B, V) logits and (B,) uniform numbers → (B,) token ids.

    Temperature, top-k and top-p in this order, each on what the one before left (as in transformers' ``generate`` and
    in vLLM); top-p keeps the smallest set of likeliest tokens with at least that probability. The token drawn is where
    the cumulative probability, likeliest token first, passes the uniform number.
    """
    vocabulary = logits.shape[-1]
    kept = min(top_k, vocabulary) if top_k else vocabulary
    # The few values kept are made float64 whatever the model's type, so that the cumulative sums add no error.
    values, tokens = logits.topk(kept, dim=-1)
    probabilities = (values.double() / temperature).softmax(dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    if top_p < 1:
        nucleus = cumulative - probabilities < top_p
        cumulative = (probabilities * nucleus).cumsum(dim=-1)
    # Rounding may leave the last cumulative value at or below the number it is compared with: hence the clamp.
    place = (cumulative <= uniforms[:, None] * cumulative[:, -1:]).sum(dim=-1).clamp(max=kept - 1)
    return tokens.gather(-1, place[:, None]).squeeze(-1)
