"""Forward passes over given texts, in batches, and the token log-probabilities that they tell: nothing is drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from adg_pipeline.resources.generators.base import Passage, T, TokenScores
from adg_pipeline.resources.generators.decoding import left_padded, positions, token_logprobs
from adg_pipeline.resources.generators.interleave import interleave

if TYPE_CHECKING:
    from torch import Tensor

# Logits are (rows, scored tokens, vocabulary): so many values at a time bound the memory that they take. On a CPU a batch of
# few is faster as well: its states stay in the caches.
MOST_LOGITS_CPU, MOST_LOGITS_GPU = 2**20, 2**29

Work = Callable[[Any, Sequence[Passage]], list[T]]


def in_batches(
    model: Any, passages: Sequence[Passage], batch_size: int, work: Work[T], workers: int = 1
) -> Iterator[tuple[int, T]]:
    """(place, result) of every passage, like lengths together.

    work: gives one result per passage of a batch. workers: batches that are computed at a time, a thread each.
    """
    waiting = sorted(range(len(passages)), key=lambda place: (len(passages[place]), place))
    batches = []
    while waiting:
        size = min(batch_size, len(waiting))
        while size > 1 and size > rows_at_a_time(model, len(passages[waiting[size - 1]])):
            size = (size + 1) // 2
        batches.append(waiting[:size])
        waiting = waiting[size:]
    yield from interleave([_of_batch(model, passages, batch, work) for batch in batches], workers)


def rows_at_a_time(model: Any, tokens: int) -> int:
    """How many texts of so many tokens may share a forward pass."""
    vocabulary = model.config.get_text_config().vocab_size
    most = MOST_LOGITS_CPU if model.device.type == "cpu" else MOST_LOGITS_GPU
    return max(1, most // max(1, tokens * vocabulary))


def _of_batch(model: Any, passages: Sequence[Passage], batch: Sequence[int], work: Work[T]) -> Iterator[tuple[int, T]]:
    yield from zip(batch, _in_memory(model, [passages[place] for place in batch], work), strict=True)


def _in_memory(model: Any, batch: Sequence[Passage], work: Work[T]) -> list[T]:
    """In one go; where the device's memory doesn't hold it, in halves."""
    import torch

    try:
        with torch.inference_mode():
            return work(model, batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    torch.cuda.empty_cache()
    middle = len(batch) // 2
    return [*_in_memory(model, batch[:middle], work), *_in_memory(model, batch[middle:], work)]


def token_scores(model: Any, batch: Sequence[Passage]) -> list[TokenScores]:
    """Log-probability and entropy of each scored token. Passages without a token to score give empty arrays."""
    # Padded on the left, so that the scored tokens of all rows are the last ones.
    ids, mask = left_padded([[*passage.context, *passage.scored] or [0] for passage in batch], model.device)
    kept = max(len(passage.scored) for passage in batch) + 1
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False, **last_logits(model, kept)
    )
    return [_of_row(logits, passage) for logits, passage in zip(output.logits, batch, strict=True)]


def last_logits(model: Any, count: int) -> dict[str, int]:
    """The argument that keeps a model from making more logits than the last so many, where it has one."""
    known = inspect.signature(model.forward).parameters
    return {"logits_to_keep": count} if "logits_to_keep" in known else {}


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
