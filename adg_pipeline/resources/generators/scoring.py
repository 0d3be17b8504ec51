"""Token log-probabilities of given texts: a batched forward pass, nothing drawn."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from adg_pipeline.resources.generators.base import Passage, TokenScores
from adg_pipeline.resources.generators.decoding import left_padded, positions

if TYPE_CHECKING:
    from torch import Tensor

# Logits are (rows, scored tokens, vocabulary): so many values at a time bound the memory that they take.
MOST_LOGITS_CPU, MOST_LOGITS_GPU = 2**25, 2**29


def score_passages(model: Any, passages: Sequence[Passage], batch_size: int) -> Iterator[tuple[int, TokenScores]]:
    """(place, scores) of every passage, like lengths together. Passages without a token to score give empty arrays."""
    vocabulary = model.config.get_text_config().vocab_size
    most = MOST_LOGITS_CPU if model.device.type == "cpu" else MOST_LOGITS_GPU
    waiting = sorted(range(len(passages)), key=lambda place: (passages[place].length, place))
    while waiting:
        size = min(batch_size, len(waiting))
        while size > 1 and size * passages[waiting[size - 1]].length * vocabulary > most:
            size = (size + 1) // 2
        batch, waiting = waiting[:size], waiting[size:]
        yield from zip(batch, _score_batch(model, [passages[place] for place in batch]), strict=True)


def _score_batch(model: Any, batch: Sequence[Passage]) -> Iterator[TokenScores]:
    import torch

    device = model.device
    # Padded on the left, so that the scored tokens of all rows are the last ones.
    ids, mask = left_padded([[*passage.context, *passage.scored] or [0] for passage in batch], device)
    kept = max(len(passage.scored) for passage in batch) + 1
    parameters = inspect.signature(model.forward).parameters
    last_only = {"logits_to_keep": kept} if "logits_to_keep" in parameters else {}
    with torch.inference_mode():
        logits = model(
            input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False, **last_only
        ).logits
        for row, passage in enumerate(batch):
            yield _of_row(logits[row], passage)


def _of_row(logits: Tensor, passage: Passage) -> TokenScores:
    import torch

    count = len(passage.scored) - (not passage.context)  # a first token that nothing stands before has no prediction
    if count <= 0:
        return TokenScores.empty()
    predicting = logits[-count - 1 : -1]
    precise = predicting.double() if predicting.dtype == torch.float64 else predicting.float()
    logprobs = precise.log_softmax(dim=-1)
    targets = torch.tensor(passage.scored[-count:], device=logits.device)
    # 0 · -inf is no number, but the limit is 0: tokens that a model rules out add nothing.
    entropies = -(logprobs.exp() * logprobs.clamp(min=torch.finfo(logprobs.dtype).min)).sum(dim=-1)
    own = logprobs.gather(-1, targets[:, None]).squeeze(-1)
    return TokenScores(own.double().cpu().numpy(), entropies.double().cpu().numpy())
