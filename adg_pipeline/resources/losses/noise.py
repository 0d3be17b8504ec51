"""How much each reference token owes to the instruction, under noise: what T-SHIRT reads (arXiv 2506.01317).

An example is scored in C copies whose embeddings have uniform noise of ±5 / √(L·d) (NEFTune; L tokens of instruction and
reference, d dimensions), the same for the pass given the instruction and for the one of the reference alone. A token's
difference is its loss given the instruction less its loss alone. T-SHIRT keeps the tokens whose difference is large
beside those of the whole pool, so its threshold isn't known while a shard is scored. Instead of every token's differences in
every copy, what comes of them is kept for each of 64 thresholds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.resources.generators.base import Passage
from adg_pipeline.resources.generators.decoding import token_logprobs
from adg_pipeline.resources.generators.scoring import last_logits, rows_at_a_time

NOISE = 5.0
# In nats; each a sixth above the one before.
THRESHOLDS = np.concatenate([[0.0], np.geomspace(1e-3, 16.0, 63)])
DECIMALS = 4

Losses = NDArray[np.float64]


def under_noise(copies: int) -> Callable[[Any, Sequence[Passage]], list[dict[str, Any]]]:
    """Work for a forward pass: the columns of each passage, whose context is the instruction."""

    def work(model: Any, batch: Sequence[Passage]) -> list[dict[str, Any]]:
        return [_columns(model, passage, copies) for passage in batch]

    return work


def selective_ifd(given: Losses, alone: Losses) -> dict[str, Any]:
    """Columns of one example.

    Args:
        given: (C, T) token losses of the reference given the instruction.
        alone: (C, T - 1) token losses of the reference alone, whose first token has no prediction.

    Returns:
        noisy_ifd: mean over copies of perplexity given the instruction by perplexity alone. For each threshold:
        selective_ifd and selective_ifd_spread, mean and standard deviation over copies of exp(mean of the differences that
        are at least as large), and selective_tokens, how many those are over all copies.
    """
    ratios = np.exp(given.mean(axis=1) - alone.mean(axis=1))
    differences = given[:, 1:] - alone
    sizes = np.abs(differences)
    means, spreads, counts = [], [], []
    for threshold in THRESHOLDS:
        chosen = sizes >= threshold
        number = chosen.sum(axis=1)
        of_copies = np.exp(np.where(chosen, differences, 0.0).sum(axis=1) / np.maximum(number, 1))
        means.append(round(float(of_copies.mean()), DECIMALS))
        spreads.append(round(float(of_copies.std()), DECIMALS))
        counts.append(int(number.sum()))
    return {
        "noisy_ifd": round(float(ratios.mean()), DECIMALS),
        "selective_ifd": means,
        "selective_ifd_spread": spreads,
        "selective_tokens": counts,
    }


def _columns(model: Any, passage: Passage, copies: int) -> dict[str, Any]:
    if len(passage.scored) < 2:
        return {}  # alone its only token has no prediction
    rows = rows_at_a_time(model, len(passage))
    parts = [_of_copies(model, passage, range(first, min(first + rows, copies))) for first in range(0, copies, rows)]
    given, alone = (np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
    return selective_ifd(given, alone)


def _of_copies(model: Any, passage: Passage, numbers: range) -> tuple[Losses, Losses]:
    import torch

    ids = torch.tensor([*passage.context, *passage.scored], device=model.device)
    embedded = model.get_input_embeddings()(ids)
    noise = torch.from_numpy(_noise(passage, numbers, embedded.shape[-1])).to(embedded)
    start = len(passage.context)
    given = _token_losses(model, embedded + noise, ids, len(passage.scored))
    alone = _token_losses(model, (embedded + noise)[:, start:], ids[start:], len(passage.scored) - 1)
    return given, alone


def _token_losses(model: Any, embedded: Any, ids: Any, count: int) -> Losses:
    """(C, count) losses of the last so many tokens."""
    logits = model(inputs_embeds=embedded, use_cache=False, **last_logits(model, count + 1)).logits
    predicting = logits[:, -count - 1 : -1]
    losses: Losses = -token_logprobs(predicting, ids[-count:].expand(len(embedded), -1)).cpu().numpy()
    return losses


def _noise(passage: Passage, numbers: range, dimension: int) -> NDArray[np.float32]:
    """(copies, L, d). A copy's noise is drawn from what the passage says: so neither order nor batch changes it."""
    tokens = np.array([*passage.context, len(passage.context), *passage.scored], dtype=np.int64)
    seed = int.from_bytes(hashlib.blake2b(tokens.tobytes(), digest_size=8).digest())
    shape = (len(passage), dimension)
    draws = [np.random.default_rng([seed, number]).random(shape, dtype=np.float32) for number in numbers]
    return (2.0 * np.stack(draws) - 1.0) * np.float32(NOISE / math.sqrt(len(passage) * dimension))
