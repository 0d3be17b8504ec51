"""Examples that say what a benchmark asks or answers: found by the word n-grams that both have.

Two published rules are presets. datatrove's (`NGramsDecontConfig`) takes any n-gram of 12 words for a hit. Tülu 3's (arXiv
2411.15124) takes an item for found where n-grams of 8 words that stand in one example cover half of the item's words. Both
know nothing of items shorter than their n-gram: here an example whose question is an item's whole question is a hit as well.

n-grams that stand in many items, such as the wording of a multiple choice, identify none of them and count for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from adg_pipeline.algorithms.duplicates import Keys, Rows, ngram_hashes, words

BLOCK = 10_000  # texts at a time
COMMON = 10  # items that an n-gram may stand in
FEWEST_WORDS = 3  # of a question that counts as a whole
HITS: dict[str, pl.DataType | type[pl.DataType]] = {
    "benchmark": pl.String, "item": pl.String, "coverage": pl.Float64, "ngram": pl.String, "items": pl.Int32,
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One question of a benchmark, and its right answer. item: where it stands there."""

    benchmark: str
    item: str
    question: str
    answer: str


@dataclass(frozen=True)
class Rule:
    """words: length of the n-grams. coverage: share of an item's words that they must cover, 0 where any will do."""

    words: int
    coverage: float


PRESETS = {"datatrove": Rule(12, 0.0), "tulu3": Rule(8, 0.5)}


class BenchmarkIndex:
    """The n-grams of a benchmark's items: of their questions, their answers, or of both and what spans them."""

    def __init__(self, items: Sequence[Item], rule: Rule, text: str = "both") -> None:
        """text: question, answer or both."""
        self.items, self.rule = list(items), rule
        said = {
            "question": [one.question for one in self.items],
            "answer": [one.answer for one in self.items],
            "both": [f"{one.question}\n{one.answer}" for one in self.items],
        }[text]
        self._sizes, hashes, item, place = _ngrams(words(said), rule.words)
        order = np.lexsort((place, item, hashes))
        self._hashes, self._item, self._place = hashes[order], item[order], place[order]
        kept = np.isin(self._hashes, _rare(hashes, item))
        self._hashes, self._item, self._place = self._hashes[kept], self._item[kept], self._place[kept]
        asked = (
            words([one.question for one in self.items]) if text != "answer" else pl.Series([], dtype=pl.List(pl.String))
        )
        whole = pl.DataFrame({"asked": asked.list.join(" "), "item": np.arange(len(asked))})
        long_enough = whole.filter(asked.list.len() >= FEWEST_WORDS)
        self._questions = long_enough.unique("asked", keep="first", maintain_order=True)

    def find(self, texts: pl.Series, questions: pl.Series) -> pl.DataFrame:
        """The columns of `HITS` for each text, null where nothing is found: the item that most of is found of, the first of
        equals; an n-gram of it; and how many items are found.

        texts: all that an example says. questions: what it asks.
        """
        parts = [self._find(texts[at : at + BLOCK], questions[at : at + BLOCK]) for at in range(0, len(texts), BLOCK)]
        return pl.concat(parts) if parts else pl.DataFrame(schema=HITS)

    def _find(self, texts: pl.Series, questions: pl.Series) -> pl.DataFrame:
        lists = words(texts)
        found = pl.concat([self._by_question(questions), self._by_ngrams(lists)])
        best = (
            found.sort("row", "coverage", "item", descending=[False, True, False], maintain_order=True)
            .group_by("row", maintain_order=True)
            .agg(pl.col("item", "coverage", "at", "asked").first(), items=pl.col("item").n_unique().cast(pl.Int32))
        )
        of = [self.items[number] for number in best["item"]]
        spoken = [
            asked if at is None else " ".join(lists[row][at : at + self.rule.words])
            for row, at, asked in best.select("row", "at", "asked").iter_rows()
        ]
        named = best.select(
            "row",
            pl.Series("benchmark", [one.benchmark for one in of], dtype=pl.String),
            pl.Series("item", [one.item for one in of], dtype=pl.String),
            "coverage",
            pl.Series("ngram", spoken, dtype=pl.String),
            "items",
        )
        rows = pl.DataFrame({"row": np.arange(len(texts))})
        return rows.join(named, on="row", how="left", maintain_order="left").select(*HITS)

    def _by_ngrams(self, lists: pl.Series) -> pl.DataFrame:
        """Items found in each text: row, item, coverage (a share of the item's words), at: where an n-gram of it begins."""
        n = self.rule.words
        _, hashes, row, at = _ngrams(lists, n)
        first, last = (np.searchsorted(self._hashes, hashes, side=side) for side in ("left", "right"))
        counts = last - first
        hit = np.repeat(np.arange(len(hashes)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        entry = first[hit] + within
        sizes = pl.DataFrame({"item": np.arange(len(self._sizes)), "size": self._sizes})
        return (
            pl.DataFrame({"row": row[hit], "item": self._item[entry], "place": self._place[entry], "at": at[hit]})
            .unique(["row", "item", "place"], keep="first", maintain_order=True)
            .sort("row", "item", "place")
            .group_by("row", "item", maintain_order=True)
            # Words covered: n-grams that overlap cover fewer than n each.
            .agg(covered=pl.col("place").diff().clip(upper_bound=n).sum() + n, at=pl.col("at").first())
            .join(sizes, on="item")
            .with_columns(coverage=pl.col("covered") / pl.col("size"))
            .filter(pl.col("coverage") >= self.rule.coverage)
            .select("row", "item", "coverage", "at", asked=pl.lit(None, dtype=pl.String))
        )

    def _by_question(self, questions: pl.Series) -> pl.DataFrame:
        asked = pl.DataFrame({"row": np.arange(len(questions)), "asked": words(questions).list.join(" ")})
        same = asked.join(self._questions, on="asked")
        return same.select("row", "item", coverage=pl.lit(1.0), at=pl.lit(None, dtype=pl.Int64), asked="asked")


def _ngrams(lists: pl.Series, n: int) -> tuple[Rows, Keys, Rows, Rows]:
    """Words of each list (N,), and of each n-gram its hash, its list and its place there. Shorter lists have none."""
    sizes = lists.list.len().to_numpy().astype(np.int64)
    hashes, starts = ngram_hashes(lists, n)
    owner = np.repeat(np.arange(len(sizes)), np.diff(starts))
    place = np.arange(len(hashes)) - starts[:-1][owner]
    whole = sizes[owner] >= n
    return sizes, hashes[whole], owner[whole], place[whole]


def _rare(hashes: Keys, item: Rows) -> Keys:
    """Hashes of n-grams that stand in few enough items."""
    pairs = np.unique(np.stack([hashes, item.astype(np.uint64)], axis=1), axis=0)
    known, counts = np.unique(pairs[:, 0], return_counts=True)
    return known[counts <= COMMON]
