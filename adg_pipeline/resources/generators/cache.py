"""A key-value cache whose layers grow in place.

transformers' dynamic layer makes a new tensor for every token and copies the whole past into it: with a small model on
a CPU that took more time than the model (59% of a step at 320 rows and 200 tokens).

Imported only where a model is decoded, hence torch at the top.
"""

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

# Tokens of room that a layer takes at a time: the past is copied once per so many steps.
_ROOM = 64


class GrowingLayer(DynamicLayer):
    """Keys and values are views of buffers with room for the tokens to come. Shape (rows, heads, tokens, head size)."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        assert self.keys is not None and self.values is not None
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if self._buffers is None or end > self._buffers[0].shape[-2]:
            self._buffers = (_with_room(self.keys, end + _ROOM), _with_room(self.values, end + _ROOM))
        keys, values = self._buffers
        keys[..., start:end, :] = key_states
        values[..., start:end, :] = value_states
        self.keys, self.values = keys[..., :end, :], values[..., :end, :]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._buffers = None


def growing_cache(config: Any) -> DynamicCache:
    """A model's dynamic cache: full-attention layers grow in place, any others are as transformers has them."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def _with_room(past: torch.Tensor, tokens: int) -> torch.Tensor:
    buffer = past.new_empty(*past.shape[:-2], tokens, past.shape[-1])
    buffer[..., : past.shape[-2], :] = past
    return buffer
