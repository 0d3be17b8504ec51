"""Token log-probabilities of given texts: a batched forward pass, nothing drawn."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from adg_pipeline.resources.generators.base import Passage, TokenScores
from adg_pipeline.resources.generators.decoding import left_padded, positions, token_logprobs
from adg_pipeline.resources.generators.interleave import interleave

if TYPE_CHECKING:
    from torch import Tensor

# Logits are (rows, scored tokens, vocabulary): so many values at a time bound the memory that they take. On a CPU a batch of
# few is faster as well: its states stay in the caches.
MOST_LOGITS_CPU, MOST_LOGITS_GPU = 2**20, 2**29


def score_passages(
    model: Any, passages: Sequence[Passage], batch_size: int, workers: int = 1
) -> Iterator[tuple[int, TokenScores]]:
    """(place, scores) of every passage, like lengths together. Passages without a token to score give empty arrays.

    workers: batches that are computed at a time, a thread each.
    """
    vocabulary = model.config.get_text_config().vocab_size
    most = MOST_LOGITS_CPU if model.device.type == "cpu" else MOST_LOGITS_GPU
    waiting = sorted(range(len(passages)), key=lambda place: (len(passages[place]), place))
    batches = []
    while waiting:
        size = min(batch_size, len(waiting))
        while size > 1 and size * len(passages[waiting[size - 1]]) * vocabulary > most:
            size = (size + 1) // 2
        batches.append(waiting[:size])
        waiting = waiting[size:]
    yield from interleave([_of_batch(model, passages, batch) for batch in batches], workers)


def _of_batch(model: Any, passages: Sequence[Passage], batch: Sequence[int]) -> Iterator[tuple[int, TokenScores]]:
    yield from zip(batch, _score_batch(model, [passages[place] for place in batch]), strict=True)


def _score_batch(model: Any, batch: Sequence[Passage]) -> list[TokenScores]:
    """One forward pass; where the device's memory doesn't hold it, halves."""
    import torch

    try:
        return _forward(model, batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    torch.cuda.empty_cache()
    middle = len(batch) // 2
    return [*_score_batch(model, batch[:middle]), *_score_batch(model, batch[middle:])]


def _forward(model: Any, batch: Sequence[Passage]) -> list[TokenScores]:
    import torch

    # Padded on the left, so that the scored tokens of all rows are the last ones.
    ids, mask = left_padded([[*passage.context, *passage.scored] or [0] for passage in batch], model.device)
    kept = max(len(passage.scored) for passage in batch) + 1
    known = inspect.signature(model.forward).parameters
    last_only = {"logits_to_keep": kept} if "logits_to_keep" in known else {}
    with torch.inference_mode():
        output = model(input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False, **last_only)
        return [_of_row(logits, passage) for logits, passage in zip(output.logits, batch, strict=True)]


def _of_row(logits: Tensor, passage: Passage) -> TokenScores:
    import torch

    count = len(passage.scored) - (not passage.context)  # a first token that nothing stands before has no prediction
    if count <= 0:
        return TokenScores(np.zeros(0), np.zeros(0))
    predicting = logits[-count - 1 : -1]
    tokens = torch.tensor(passage.scored[-count:], device=logits.device)
    precise = predicting if predicting.dtype == torch.float64 else predicting.float()
    shares = precise.softmax(dim=-1)
    entropies = torch.special.entr(shares).sum(dim=-1)
    return TokenScores(token_logprobs(predicting, tokens).cpu().numpy(), entropies.double().cpu().numpy())
