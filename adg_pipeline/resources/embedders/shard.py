"""What an embedder read of a shard: counts for its metadata, warnings, and where it can't go on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from adg_pipeline.errors import ShardFault
from adg_pipeline.resources.embedders.reading import Reading

# An English text has no more such characters than a few symbols; Chinese read by an English embedder has half and more.
UNREADABLE = 0.2
WARN_SHARE = 0.01


class ShardReading:
    """Adds up readings of a shard of ``examples`` examples, batch by batch.

    An example is unreadable if more than a fifth of its characters are of tokens that the embedder doesn't know: such
    texts share a vector whatever they say.
    """

    def __init__(self, examples: int) -> None:
        self._examples = examples
        self._texts = self._long = self._cut = self._characters = self._unknown = 0
        self._unreadable: list[str] = []

    def add(self, ids: Sequence[str], reading: Reading) -> None:
        """Count a batch: ``reading`` has values of N examples, (N,) or (N, K)."""
        self._texts += reading.long.size
        self._long += int(reading.long.sum())
        self._cut += int(reading.cut.sum())
        characters = reading.characters.reshape(len(ids), -1).sum(axis=1)
        unknown = reading.unknown.reshape(len(ids), -1).sum(axis=1)
        self._characters += int(characters.sum())
        self._unknown += int(unknown.sum())
        self._unreadable.extend(str(ids[row]) for row in np.flatnonzero(unknown > UNREADABLE * characters).tolist())

    def check(self, max_unknown_share: float) -> None:
        """Raise ShardFault once more examples are unreadable than the share of the whole shard allows."""
        if len(self._unreadable) > max_unknown_share * self._examples:
            raise ShardFault(
                f"{len(self._unreadable)} of {self._examples} examples have texts that the embedder can't read so far (more "
                f"than {UNREADABLE:.0%} of their characters have no token), more than embeddings.max_unknown_share = "
                f"{max_unknown_share:g} allows; the first is {self._unreadable[0]}. Different answers would have equal "
                "vectors: choose an embedder of their language, such as embeddings.model = "
                "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2 or paraphrase-multilingual-mpnet-base-v2, or "
                "embeddings.embedder = hidden_state with a backbone that knows it, or raise max_unknown_share; then "
                "`adg run --retry`"
            )

    def warnings(self) -> list[str]:
        """What a user should know of a shard that was embedded."""
        found = []
        if self._cut > WARN_SHARE * self._texts:
            found.append(
                f"{self._cut:,} of {self._texts:,} texts ({self._cut / self._texts:.1%}) were not read in full: they are "
                "longer than the embedder reads at a time (see embeddings.long_texts, and for hidden_state max_tokens)"
            )
        if len(self._unreadable) > WARN_SHARE * self._examples:
            found.append(
                f"{len(self._unreadable):,} of {self._examples:,} examples have texts that the embedder can't read (more "
                f"than {UNREADABLE:.0%} of their characters have no token); the first is {self._unreadable[0]}"
            )
        return found

    def facts(self) -> dict[str, Any]:
        return {
            "texts": self._texts,
            "long_texts": self._long,
            "cut_texts": self._cut,
            "unknown_share": round(self._unknown / max(self._characters, 1), 6),
            "unreadable_examples": len(self._unreadable),
            "unreadable_ids": self._unreadable[:100],
        }
