"""How much each token counts in the paper's pooling."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARKS = re.compile(r"[\s,.;:!?()\[\]{}\"'`~\-_/\\]*")
QUANTITY = re.compile(r"[\d%℃°]")
QUANTITY_WEIGHT = 1.3


def token_weight(text: str) -> float:
    """0 for punctuation and white space, 1.3 where there is a digit or a unit (%, ℃, °), else 1 (released code)."""
    text = text.strip()
    if MARKS.fullmatch(text):
        return 0.0
    return QUANTITY_WEIGHT if QUANTITY.search(text) else 1.0


class TokenWeights:
    """Weights of a tokenizer's tokens, each worked out when it is first met."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._weights = np.full(len(tokenizer), np.nan, dtype=np.float32)

    def __call__(self, token_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Weights of tokens, in the shape of ``token_ids``."""
        for token in np.unique(token_ids[np.isnan(self._weights[token_ids])]).tolist():
            self._weights[token] = token_weight(self._tokenizer.decode([token]))
        return self._weights[token_ids]
