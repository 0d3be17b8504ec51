"""Batched decoding with a key-value cache: one prefill per prompt, whatever number of samples is drawn from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adg_pipeline.resources.generators.sampling import draw_tokens, uniform_streams

if TYPE_CHECKING:
    from torch import Tensor

# Rows that have ended are computed along until this share of the batch has: taking rows out copies the cache.
_ENDED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn, and what ends an answer: a token, or what `is_stopped` finds in all of its tokens so far."""

    temperature: float
    top_k: int
    top_p: float
    max_new_tokens: int
    stop_tokens: frozenset[int]
    is_stopped: Callable[[list[int]], bool] | None = None


def decode_batch(
    model: Any, prompts: Sequence[Sequence[int]], parents: Sequence[int], seeds: Sequence[int], sampling: Sampling
) -> Iterator[tuple[int, list[int], float]]:
    """Sample one continuation per row; row r continues ``prompts[parents[r]]`` with the stream of ``seeds[r]``.

    Yields (row, new token ids, their mean log-probability under the model itself) as rows end, the stop token included
    if one was drawn.
    """
    import torch

    from adg_pipeline.resources.generators.cache import growing_cache

    device = model.device
    uniforms = torch.from_numpy(uniform_streams(seeds, sampling.max_new_tokens)).to(device)
    ids, mask = left_padded(prompts, device)
    cache = growing_cache(model.config)
    logits = _next_logits(model, ids, mask, cache)

    # From one row per prompt to one row per sample: prompts are computed once, their samples share the result.
    spread = torch.tensor(parents, device=device)
    cache.batch_select_indices(spread)
    logits, mask = logits[spread], mask[spread]
    rows = torch.arange(len(parents), device=device)
    drawn = torch.empty(len(parents), sampling.max_new_tokens, dtype=torch.long, device=device)
    stops = torch.tensor(sorted(sampling.stop_tokens), dtype=torch.long, device=device)
    alive = torch.ones(len(parents), dtype=torch.bool, device=device)
    logprobs = torch.zeros(len(parents), dtype=torch.float64, device=device)

    for step in range(sampling.max_new_tokens):
        tokens = draw_tokens(logits, uniforms[rows, step], sampling.temperature, sampling.top_k, sampling.top_p)
        drawn[rows, step] = tokens
        logprobs[rows] += token_logprobs(logits, tokens)
        ending = alive & (torch.isin(tokens, stops) if step + 1 < sampling.max_new_tokens else True)
        if sampling.is_stopped is not None:
            for place in (alive & ~ending).nonzero().flatten().tolist():
                ending[place] = sampling.is_stopped(drawn[rows[place], : step + 1].tolist())
        alive &= ~ending
        for row in rows[ending].tolist():
            yield row, drawn[row, : step + 1].tolist(), logprobs[row].item() / (step + 1)
        living = int(alive.sum())
        if living == 0:
            return
        if living <= len(rows) * (1 - _ENDED_SHARE):
            cache.batch_select_indices(alive.nonzero().squeeze(-1))
            rows, tokens, mask, alive = rows[alive], tokens[alive], mask[alive], alive[alive]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=-1)
        logits = _next_logits(model, tokens[:, None], mask, cache)


def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probabilities (…) of tokens (…) under logits (…, V), in at least float32."""
    import torch

    precise = logits if logits.dtype == torch.float64 else logits.float()
    own = precise.gather(-1, tokens[..., None]).squeeze(-1)
    return (own - precise.logsumexp(dim=-1)).double()


def left_padded(prompts: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Ids and attention mask, both (B, T). Padding is masked, so any id serves: none needs to be defined."""
    import torch

    longest = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def positions(mask: Tensor) -> Tensor:
    """(B, T) positions that count from the first real token, so that padding moves nothing."""
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)


def _next_logits(model: Any, ids: Tensor, mask: Tensor, cache: Any) -> Tensor:
    """(B, V) logits of the token after ``ids``; ``mask`` covers the cache and ``ids``."""
    import torch

    known = inspect.signature(model.forward).parameters
    last_only = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
    past = {"cache" if "cache" in known else "past_key_values": cache}  # renamed in the course of transformers 5
    with torch.inference_mode():
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions(mask)[:, -ids.shape[1] :],
            use_cache=True,
            **past,
            **last_only,
        )
    logits: Tensor = output.logits[:, -1]
    return logits
