"""Near duplicates: what texts are compared by, against another library, and clusters against a slow exact reference."""

import random

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from adg_pipeline.algorithms.duplicates import BANDS, alike_by, band_keys, link, ngram_hashes, roots, signatures, words

TEXT = (
    "The quick brown fox jumps over the lazy dog near the old stone bridge while seven small birds sing loudly at dawn"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, WORLD!  5x", ["hello", "world", "5x"]),
        ("ﬁne Ｆｕｌｌ", ["fine", "full"]),
        ("中文abc", ["中", "文", "abc"]),
        ("🙂 ?!", ["🙂 ?!"]),
        ("", [""]),
    ],
)
def test_words_are_what_a_reader_would_call_the_same(text: str, expected: list[str]) -> None:
    assert words([text]).to_list() == [expected]


def test_a_text_of_fewer_words_than_an_ngram_is_one_ngram() -> None:
    hashes, starts = ngram_hashes(pl.Series([["a"], ["a", "b"], ["a", "b", "c", "d"], []], dtype=pl.List(pl.String)), 3)
    assert starts.tolist() == [0, 1, 2, 4, 5]
    assert len(set(hashes.tolist())) == 5


def exact(one: str, other: str, length: int = 3) -> float:
    sets = []
    for text in (one, other):
        found = text.lower().split()
        sets.append({tuple(found[at : at + length]) for at in range(max(1, len(found) - length + 1))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def variants(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        found = TEXT.lower().split()
        for _ in range(draw.randrange(4)):
            found[draw.randrange(len(found))] = draw.choice(["red", "blue", "green"])
        texts.append(" ".join(found))
    return texts


def test_signatures_estimate_the_likeness_as_well_as_another_library_does() -> None:
    texts = variants(60, 1)
    signed = signatures(texts)
    sketches = []
    for text in texts:
        sketch, found = MinHash(num_perm=128), text.split()
        for at in range(len(found) - 2):
            sketch.update(" ".join(found[at : at + 3]).encode())
        sketches.append(sketch)
    pairs = [(one, other) for one in range(60) for other in range(one)]
    truth = np.array([exact(texts[one], texts[other]) for one, other in pairs])
    first, second = np.array(pairs).T
    ours = alike_by(signed[first], signed[second])
    theirs = np.array([sketches[one].jaccard(sketches[other]) for one, other in pairs])
    assert np.abs(ours - truth).mean() < 0.04
    assert np.abs(ours - truth).mean() < 1.5 * np.abs(theirs - truth).mean()


def test_texts_that_differ_in_case_and_punctuation_alone_are_the_same() -> None:
    signed = signatures([TEXT, f"  {TEXT.upper()}!!"])
    assert (signed[0] == signed[1]).all()


def test_pairs_over_the_bound_nearly_always_meet_in_a_band() -> None:
    texts = variants(400, 2)
    keys = band_keys(signatures(texts))
    alike = [(i, j) for i in range(400) for j in range(i) if 0.8 <= exact(texts[i], texts[j]) < 1]
    met = [bool((keys[one] == keys[other]).any()) for one, other in alike]
    assert len(alike) > 100
    assert np.mean(met) > 0.98


graphs = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=24)


@settings(deadline=None, max_examples=200)
@given(graphs, st.randoms(use_true_random=False), st.integers(0, 9))
def test_clusters_are_the_connected_components_of_what_was_verified(keyed, draw, dissimilar) -> None:
    """Against all pairs one by one; and added in two parts, as a pool that grows."""
    count = len(keyed)
    keys = np.array(keyed, dtype=np.uint64)
    verified = {(i, j): draw.randrange(10) >= dissimilar for i in range(count) for j in range(i)}

    def alike(first, second):
        return np.array(
            [verified[max(i, j), min(i, j)] for i, j in zip(first.tolist(), second.tolist(), strict=True)], bool
        )

    expected = list(range(count))
    for i, j in verified:
        if verified[i, j] and (keys[i] == keys[j]).any():
            expected = [min(expected[i], expected[j]) if e in (expected[i], expected[j]) else e for e in expected]
    whole = np.arange(count)
    for band in range(3):
        link(whole, np.arange(count), keys[:, band], alike)
    assert roots(whole, np.arange(count)).tolist() == expected
    grown, half = np.arange(count), count // 2
    for rows in (np.arange(half), np.arange(count)):
        for band in range(3):
            link(grown, rows, keys[rows, band], alike)
    assert roots(grown, np.arange(count)).tolist() == expected


def test_a_thousand_copies_cost_a_thousand_comparisons() -> None:
    compared = 0

    def alike(first, second):
        nonlocal compared
        compared += len(first)
        return np.ones(len(first), dtype=bool)

    parents = np.arange(1000)
    for _ in range(BANDS):
        link(parents, np.arange(1000), np.zeros(1000, dtype=np.uint64), alike)
    assert set(roots(parents, np.arange(1000)).tolist()) == {0}
    assert compared == 999
