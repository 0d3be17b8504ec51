"""What an embedder read of its texts, and how the windows of a long one become one vector."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VARIATION_SELECTORS = range(0xFE00, 0xFE10)


@dataclass(frozen=True)
class Reading:
    """What was read of some texts; each array has one value a text.

    Args:
        long: longer than one window.
        cut: some of it was not read.
        characters: characters that can be seen.
        unknown: of these, those that the tokenizer has no token for.
    """

    long: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    characters: NDArray[np.int64]
    unknown: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Reading":
        """Short texts that are known throughout; whoever reads them marks what isn't so."""
        count = len(texts)
        characters = np.array([len("".join(text.split())) for text in texts], dtype=np.int64)
        return cls(np.zeros(count, bool), np.zeros(count, bool), characters, np.zeros(count, np.int64))

    def __getitem__(self, rows: Any) -> "Reading":
        return Reading(self.long[rows], self.cut[rows], self.characters[rows], self.unknown[rows])

    def reshape(self, *shape: int) -> "Reading":
        rows = np.arange(len(self.long)).reshape(shape)
        return self[rows]


def unknown_token(tokenizer: Any) -> int | None:
    """Id of the token that stands for what a fast tokenizer's vocabulary lacks; None where every byte has a token."""
    name = getattr(tokenizer.backend_tokenizer.model, "unk_token", tokenizer.unk_token)
    return tokenizer.convert_tokens_to_ids(name) if name else None


def unknown_characters(text: str, ids: NDArray[np.int64], offsets: NDArray[np.int64], unknown: int | None) -> int:
    """Characters of a text that lie in unknown tokens. What nobody sees (joiners, variation selectors) doesn't count.

    ids: (T,) tokens. offsets: (T, 2), where in the text each begins and ends. unknown: what `unknown_token` gives.
    """
    if unknown is None:
        return 0
    return sum(sum(map(_visible, text[start:end])) for start, end in offsets[ids == unknown].tolist())


def _visible(character: str) -> bool:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp")
    return not hidden and ord(character) not in VARIATION_SELECTORS


def weighted_mean(
    vectors: NDArray[np.float32], weights: NDArray[np.float64], owners: Sequence[int], count: int
) -> NDArray[np.float32]:
    """Unit vectors (count, d): of each text the mean of its windows' vectors (W, d) by their weights (W,).

    owners: which text each window is of. A mean of length 0 stays a zero vector; NaN stays NaN.
    """
    total = np.zeros((count, vectors.shape[1]))
    np.add.at(total, np.asarray(owners, dtype=np.int64), vectors * weights[:, None])
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(np.float32)
