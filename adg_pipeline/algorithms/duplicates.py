"""Near duplicates by MinHash: signatures of texts, keys by which alike ones meet, and the clusters that they form.

Two texts are as alike as their sets of word n-grams are (Jaccard). A signature estimates that: of two texts, the share of
its places that agree, ± 0.035 at a likeness of 0.8. Texts meet where all places of one band agree; those that meet are
verified by their whole signatures. So a pair of likeness 0.8 is found with a probability of 99.8%, one of 0.7 with 92%.
Clusters are the connected components of what was verified: they depend neither on the order of texts nor on how they are
split into shards.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rensa import RMinHash

from adg_pipeline.algorithms.components import components

PERMUTATIONS, BANDS, BAND_ROWS = 128, 20, 6
SEED = 1
ALGORITHM = f"rensa {RMinHash.ALGORITHM_VERSION}"
BLOCK = 10_000  # texts at a time
PAIRS = 50_000  # pairs whose signatures are compared at a time

Signatures = NDArray[np.uint32]
Keys = NDArray[np.uint64]
Rows = NDArray[np.int64]
Alike = Callable[[Rows, Rows], NDArray[np.bool_]]

# Scripts that put no spaces between words: there each character counts as a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_UNSPACED}]|[[\p{{L}}\p{{M}}\p{{N}}_]&&[^{_UNSPACED}]]+"
_MIX, _FINAL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


def words(texts: Sequence[str] | pl.Series) -> pl.Series:
    """Lists of the words of each text: letters and digits, in lower case and Unicode's form NFKC.

    Of a text without any (punctuation, emoji) the text itself is the only word.
    """
    seen = pl.Series("text", texts, dtype=pl.String).str.normalize("NFKC").str.to_lowercase()
    found = seen.str.extract_all(_WORD)
    bare = pl.concat_list(pl.lit(seen.str.strip_chars()))
    return pl.select(pl.when(pl.lit(found).list.len() > 0).then(pl.lit(found)).otherwise(bare)).to_series()


def ngram_hashes(lists: pl.Series, length: int) -> tuple[Keys, Rows]:
    """Hashes of the n-grams of `length` words of each list, one after the other, and (N + 1,) where each list's begin.

    Of a list of fewer words there is one n-gram, of all of them; of an empty one too.
    """
    sizes = lists.list.len().to_numpy().astype(np.int64)
    flat = lists.explode(empty_as_null=False) if sizes.any() else pl.Series([], dtype=pl.String)
    known = flat.unique()
    hashes = np.array(RMinHash.hash_token_sets([known.to_list()])[0], dtype=np.uint64)
    of_word = pl.DataFrame({"word": known, "hash": hashes})
    hashed = pl.DataFrame({"word": flat}).join(of_word, on="word", how="left", maintain_order="left")["hash"].to_numpy()
    counts = np.maximum(sizes - length + 1, 1)
    starts = np.concatenate([[0], np.cumsum(counts)])
    owner = np.repeat(np.arange(len(sizes)), counts)
    first = np.repeat(np.cumsum(sizes) - sizes, counts) + (np.arange(starts[-1]) - starts[:-1][owner])
    end = np.cumsum(sizes)[owner]
    padded = np.concatenate([hashed, np.zeros(1, dtype=np.uint64)])
    mixed = np.zeros(len(owner), dtype=np.uint64)
    for place in range(length):
        at = first + place
        mixed = _mixed(mixed, np.where(at < end, padded[np.minimum(at, len(hashed))], np.uint64(0)))
    return mixed, starts


def signatures(texts: Sequence[str] | pl.Series, length: int = 3) -> Signatures:
    """(N, 128) signatures of the texts' sets of word n-grams."""
    series = pl.Series("text", texts, dtype=pl.String)
    found = np.empty((len(series), PERMUTATIONS), dtype=np.uint32)
    for start in range(0, len(series), BLOCK):
        hashes, starts = ngram_hashes(words(series[start : start + BLOCK]), length)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts.astype(np.uint64), PERMUTATIONS, SEED)
        found[start : start + len(starts) - 1] = np.array(matrix.to_rows(), dtype=np.uint32)
    return found


def band_keys(signed: Signatures) -> Keys:
    """(N, 20) keys: two texts meet in a band where its keys are equal."""
    bands = signed[:, : BANDS * BAND_ROWS].reshape(len(signed), BANDS, BAND_ROWS).astype(np.uint64)
    keys = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), (len(signed), BANDS))
    for place in range(BAND_ROWS):
        keys = _mixed(keys, bands[:, :, place])
    return np.ascontiguousarray(keys)


def alike_by(first: Signatures, second: Signatures) -> NDArray[np.float64]:
    """(N,) estimated likeness of each pair, 0 … 1."""
    return (first == second).mean(axis=1)


def link(parents: Rows, rows: Rows, keys: Keys, alike: Alike) -> None:
    """Join, in place, the components of all rows that share a key and are alike.

    parents: (P,) a forest over rows, at first each its own parent; the smallest row of a component is its root. rows, keys:
    (M,) of one band. alike: of pairs of rows, whether they are.

    Pairs that are joined already aren't compared: a thousand copies cost a thousand comparisons, not half a million.
    """
    order = np.lexsort((rows, keys))
    rows, keys = rows[order], keys[order]
    distance = 1
    while True:
        rows, keys = _still_apart(parents, rows, keys, distance)
        if not len(rows):
            return
        meets = keys[distance:] == keys[:-distance]
        first, second = rows[:-distance][meets], rows[distance:][meets]
        apart = roots(parents, first) != roots(parents, second)
        first, second = first[apart], second[apart]
        for start in range(0, len(first), PAIRS):
            one, other = first[start : start + PAIRS], second[start : start + PAIRS]
            same = alike(one, other)
            _join(parents, one[same], other[same])
        distance += 1


def roots(parents: Rows, rows: Rows) -> Rows:
    """The root of each row."""
    found = parents[rows]
    while True:
        above = parents[found]
        if (above == found).all():
            return found
        found = above


def _still_apart(parents: Rows, rows: Rows, keys: Keys, distance: int) -> tuple[Rows, Keys]:
    """Rows of the buckets that have pairs of that distance, and more than one component."""
    if not len(rows):
        return rows, keys
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.append(starts, len(rows)))
    of = roots(parents, rows)
    apart = np.minimum.reduceat(of, starts) != np.maximum.reduceat(of, starts)
    kept = np.repeat((sizes > distance) & apart, sizes)
    return rows[kept], keys[kept]


def _join(parents: Rows, first: Rows, second: Rows) -> None:
    if not len(first):
        return
    touched, places = np.unique(np.concatenate([roots(parents, first), roots(parents, second)]), return_inverse=True)
    pairs = places.reshape(2, -1)
    component = components(pairs[0], pairs[1], len(touched))
    smallest = np.full(component.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, touched)
    parents[touched] = smallest[component]


def _mixed(state: Keys, value: Keys) -> Keys:
    mixed = (state ^ value) * _MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= _FINAL
    return mixed ^ (mixed >> np.uint64(32))
