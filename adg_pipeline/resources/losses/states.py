"""One vector per conversation: its hidden states, as RDS+ reads them (arXiv 2503.01807)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.errors import SettingsError
from adg_pipeline.resources.generators.base import Generator, Passage
from adg_pipeline.resources.generators.decoding import left_padded, positions
from adg_pipeline.resources.generators.schema import OK
from adg_pipeline.resources.losses.examples import tokenized

# Vectors at unit length; float64 passes differ with the batch far below this.
DECIMALS = 6


def weighted_states(model: Any, batch: Sequence[Passage]) -> list[NDArray[np.float32]]:
    """Mean of the last hidden states of each passage's L tokens, weighted 1, 2, … L, at unit length, (d,)."""
    ids, mask = left_padded([[*passage.context, *passage.scored] for passage in batch], model.device)
    output = model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False)
    # What padding holds may be infinite, and 0 · inf would be NaN.
    states = output.last_hidden_state.masked_fill(mask[:, :, None] == 0, 0.0)
    precise = states if states.dtype.itemsize == 8 else states.float()
    summed = (precise * mask.cumsum(dim=-1)[:, :, None]).sum(dim=1)
    unit = (summed / summed.norm(dim=1, keepdim=True).clamp(min=1e-12)).double().cpu().numpy()
    return [vector.round(DECIMALS).astype(np.float32) for vector in unit]


def query_states(records: Sequence[Mapping[str, Any]], generator: Generator, batch_size: int) -> NDArray[np.float32]:
    """(Q, d) vectors of examples in the canonical schema, read as references are.

    Raises SettingsError, naming the example, where one has no vector.
    """
    assert generator.template is not None
    examples = tokenized(records, generator.template)
    for number, example in enumerate(examples, start=1):
        length, most = len(example.whole), generator.context_length
        if example.row["status"] != OK or (most is not None and length > most):
            why = example.row["reason"] or f"its {length} tokens exceed the context of {most}"
            raise SettingsError(f"selected_subset.queries: example {number} can't be read by the backbone: {why}")
    found = dict(generator.forward([example.whole for example in examples], batch_size, weighted_states))
    return np.stack([found[place] for place in range(len(examples))])
