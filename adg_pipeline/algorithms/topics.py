"""What semantic bins are about, told by words alone: no model is asked."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

# A word of three letters or more; of scripts that leave no space between words, two signs that follow each other.
_WORD = re.compile(r"[^\W\d_]{3,}")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]+")


def words_of(text: str) -> set[str]:
    """The different words of a text, in small letters and without those that any text has."""
    found = set()
    for word in _WORD.findall(text.lower()):
        if runs := _UNSPACED.findall(word):
            found |= {run[at : at + 2] for run in runs for at in range(max(len(run) - 1, 1))}
        elif word not in _everyday():
            found.add(word)
    return found


def telling_words(texts: Mapping[int, Sequence[str]], elsewhere: Iterable[str], count: int = 3) -> dict[int, list[str]]:
    """Of each bin the words that tell it best from the pool, the most telling first; fewer where it has no more.

    A word counts once a text. It tells by ``p · log(p / q)``, where p is its share of the bin's texts and q its share of
    the pool's: what it adds to the divergence between the two. So neither what all say nor what one says is told.

    texts: bin → its texts, or a sample of them. elsewhere: a sample of the whole pool. Equal words: by the alphabet.
    """
    everywhere, documents = Counter[str](), 0
    for text in elsewhere:
        everywhere.update(words_of(text))
        documents += 1
    found = {}
    for number, of_bin in texts.items():
        counts = Counter(word for text in of_bin for word in words_of(text))
        telling: dict[str, float] = {}
        for word, times in counts.items():
            share = times / len(of_bin)
            # A word that the sample of the pool lacks stands in it about once more than not at all.
            usual = max(everywhere[word], 1) / max(documents, 1)
            if share > usual and (times > 1 or len(of_bin) == 1):
                telling[word] = share * math.log(share / usual)
        found[number] = sorted(telling, key=lambda word: (-round(telling[word], 9), word))[:count]
    return found


@cache
def _everyday() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)
