"""Which items of a benchmark a text gives away, against a slow count of words in common."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.algorithms.contamination import COMMON, PRESETS, BenchmarkIndex, Item, Rule

WATER = Item(
    "water",
    "1",
    "How many litres of water does a tree of forty metres drink on a hot day in July?",
    "About five hundred.",
)
SHORT = Item("short", "1", "Who wrote Hamlet?", "Shakespeare")


def found(index: BenchmarkIndex, text: str, question: str = "") -> dict[str, object] | None:
    row = index.find(pl.Series([text]), pl.Series([question])).row(0, named=True)
    return row if row["benchmark"] is not None else None


def test_a_hit_names_benchmark_item_and_words_whatever_case_and_marks() -> None:
    hit = found(BenchmarkIndex([SHORT, WATER], PRESETS["datatrove"]), f"Tell me: {WATER.question.upper()} - Well.")
    assert hit is not None
    assert (hit["benchmark"], hit["item"], hit["items"]) == ("water", "1", 1)
    assert hit["ngram"] == "how many litres of water does a tree of forty metres drink"


def test_the_rules_differ_in_length_and_share() -> None:
    eleven = " ".join(WATER.question.split()[:11])
    twelve = " ".join(WATER.question.split()[:12])
    datatrove = BenchmarkIndex([WATER], PRESETS["datatrove"])
    tulu3 = BenchmarkIndex([WATER], PRESETS["tulu3"], "question")
    assert found(datatrove, eleven) is None
    assert found(datatrove, twelve) is not None
    assert found(tulu3, " ".join(WATER.question.split()[:8])) is None  # 8 of 18 words
    hit = found(tulu3, " ".join(WATER.question.split()[:9]))
    assert hit is not None
    assert hit["coverage"] == pytest.approx(9 / 18)


def test_what_is_looked_for_is_the_question_the_answer_or_both() -> None:
    long = Item(
        "b", "1", "Why?", "Because the very long answer of this item goes on for more than twelve words in all."
    )
    assert found(BenchmarkIndex([long], PRESETS["datatrove"], "answer"), long.answer) is not None
    assert found(BenchmarkIndex([long], PRESETS["datatrove"], "question"), long.answer) is None
    spanning = f"{WATER.question} {WATER.answer}".split()[-12:]
    assert found(BenchmarkIndex([WATER], PRESETS["datatrove"]), " ".join(spanning)) is not None


def test_a_short_item_is_given_away_by_its_whole_question_alone() -> None:
    index = BenchmarkIndex([SHORT], PRESETS["datatrove"])
    assert found(index, "who wrote hamlet Marlowe", "who wrote hamlet") is not None
    assert found(index, "I know who wrote Hamlet? Yes", "I know who wrote Hamlet?") is None
    two = BenchmarkIndex([Item("b", "1", "Thank you", "")], PRESETS["datatrove"])
    assert found(two, "thank you", "thank you") is None  # too few words to tell anything
    assert (
        found(BenchmarkIndex([SHORT], PRESETS["datatrove"], "answer"), "who wrote hamlet", "who wrote hamlet") is None
    )


def test_wording_that_many_items_share_is_no_hit() -> None:
    asked = "Choose the one right answer from the list of possible answers that is given below here"
    items = [Item("b", str(number), asked, f"answer {number}") for number in range(COMMON + 1)]
    assert found(BenchmarkIndex(items, PRESETS["datatrove"]), asked) is None
    assert found(BenchmarkIndex(items[:COMMON], PRESETS["datatrove"]), asked) is not None


def test_nothing_is_found_in_nothing() -> None:
    nothing = pl.Series([], dtype=pl.String)
    assert BenchmarkIndex([WATER], PRESETS["tulu3"]).find(nothing, nothing).is_empty()
    assert found(BenchmarkIndex([], PRESETS["tulu3"]), "a b c") is None


words = st.lists(st.sampled_from("abcdefg"), max_size=24)


@given(st.lists(words, min_size=1, max_size=4), words, st.integers(2, 4), st.sampled_from([0.0, 0.3, 0.6, 1.0]))
def test_coverage_is_the_share_of_an_items_words_in_common_ngrams(
    items: list[list[str]], text: list[str], n: int, coverage: float
) -> None:
    index = BenchmarkIndex(
        [Item("b", str(k), "", " ".join(one)) for k, one in enumerate(items)], Rule(n, coverage), "answer"
    )
    known = {tuple(text[at : at + n]) for at in range(len(text) - n + 1)}
    shares = {}
    for number, one in enumerate(items):
        starts = [at for at in range(len(one) - n + 1) if tuple(one[at : at + n]) in known]
        covered = {at + place for at in starts for place in range(n)}
        if covered and len(covered) / len(one) >= coverage:
            shares[number] = len(covered) / len(one)
    hit = found(index, " ".join(text))
    if not shares:
        assert hit is None
        return
    assert hit is not None
    best = max(shares, key=lambda number: (shares[number], -number))
    assert (hit["item"], hit["items"]) == (str(best), len(shares))
    assert hit["coverage"] == pytest.approx(shares[best])
    assert tuple(str(hit["ngram"]).split()) in known
