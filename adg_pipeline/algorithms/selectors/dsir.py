"""DSIR: importance resampling by hashed n-grams (arXiv 2302.03169), towards texts that the subset is meant to help with.

log((p_target + 1e-8) / (p_pool + 1e-8)) · counts, plus Gumbel noise, the highest first. Released: examples under 100 tokens
are dropped, which is wrong for instructions and isn't done here; the noise comes from each example's own draw.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import polars as pl

from adg_pipeline.algorithms.draws import uniform_draws
from adg_pipeline.algorithms.selectors.base import Candidates, Scores, Selector, by_score
from adg_pipeline.settings.sections import SelectionConfig

BUCKETS = 10_000
SMOOTHING = 1e-8
DECIMALS = 6
_TOKENS = re.compile(r"\w+|[^\w\s]+")  # words and runs of punctuation, as NLTK's WordPunctTokenizer


def ngram_counts(text: str) -> dict[int, int]:
    """How often each bucket is met by the text's uni- and bigrams, in lower case."""
    words = _TOKENS.findall(text.lower())
    grams = [*words, *(f"{first} {second}" for first, second in pairwise(words))]
    return Counter(int.from_bytes(hashlib.sha256(gram.encode()).digest()[:8]) % BUCKETS for gram in grams)


def _shares(texts: Iterable[dict[int, int]]) -> Scores:
    total = np.zeros(BUCKETS)
    for counts in texts:
        np.add.at(total, list(counts), list(counts.values()))
    return total / max(total.sum(), 1.0)


def importance(texts: list[str], targets: list[str]) -> Scores:
    """(N,) log importance weights of texts towards the targets, without noise."""
    counted = [ngram_counts(text) for text in texts]
    target, pool = _shares(map(ngram_counts, targets)), _shares(counted)
    weights = np.log(target + SMOOTHING) - np.log(pool + SMOOTHING)
    return np.array([sum(weights[bucket] * count for bucket, count in counts.items()) for counts in counted])


def _choose(candidates: Candidates, config: SelectionConfig) -> pl.DataFrame:
    targets = list(candidates.queries)

    def score(frame: pl.DataFrame, config: SelectionConfig) -> Scores:
        texts = ["\n".join(row) for row in frame.select("instruction", "input", "output").iter_rows()]
        draws = uniform_draws(frame["example_id"], config.seed)
        noise = -np.log(-np.log(np.clip(draws, 1e-300, 1 - 1e-16)))
        noisy: Scores = (importance(texts, targets) + noise).round(DECIMALS)
        return noisy

    return by_score(score)(candidates, config)


DSIR = Selector(_choose, "arXiv 2302.03169", ("instruction", "input", "output"), queries=True, draws=True)
