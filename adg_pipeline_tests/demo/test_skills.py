"""The skills' reference answers, checked against independent statements of what each skill means."""

import random
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.demo.skills import ALL_SKILLS, BARELY_KNOWN, KNOWN, draw_text, is_held_out

texts = st.lists(st.sampled_from(ascii_lowercase), min_size=4, max_size=6).map(" ".join)
BY_NAME = {skill.name: skill for skill in ALL_SKILLS}


def solved(skill: str, text: str) -> list[str]:
    return BY_NAME[skill].solve(text).split(" ")


@pytest.mark.parametrize(
    ("skill", "answer"),
    [
        ("copy", "k q z f"),
        ("reverse", "f z q k"),
        ("uppercase", "K Q Z F"),
        ("first-letter", "k"),
        ("last-letter", "f"),
        ("double", "k k q q z z f f"),
        ("drop-first", "q z f"),
        ("count", "4"),
        ("drop-last", "k q z"),
        ("rotate", "q z f k"),
        ("mirror", "k q z f f z q k"),
        ("swap-ends", "f q z k"),
        ("swap-pairs", "q k f z"),
        ("every-second", "k z"),
        ("capital-ends", "K q z F"),
        ("reverse-capitals", "F Z Q K"),
    ],
)
def test_each_skill_answers_an_example_rightly(skill: str, answer: str) -> None:
    assert BY_NAME[skill].solve("k q z f") == answer


def test_every_skill_has_an_example_above_and_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(KNOWN) + len(BARELY_KNOWN) == 16


@given(texts)
def test_skills_keep_to_the_algebra_of_their_meaning(text: str) -> None:
    letters = text.split(" ")
    assert solved("reverse", BY_NAME["reverse"].solve(text)) == letters
    assert solved("swap-pairs", BY_NAME["swap-pairs"].solve(text)) == letters
    assert solved("swap-ends", BY_NAME["swap-ends"].solve(text)) == letters
    assert solved("mirror", text) == letters + solved("reverse", text)
    assert solved("first-letter", text) + solved("drop-first", text) == letters
    assert solved("drop-last", text) + solved("last-letter", text) == letters
    assert solved("double", text)[::2] == solved("double", text)[1::2] == letters
    assert sorted(solved("rotate", text)) == sorted(letters)
    assert [letter.lower() for letter in solved("reverse-capitals", text)] == solved("reverse", text)
    assert solved("count", text) == [str(len(letters))]


@given(st.integers(), st.booleans())
def test_texts_come_from_the_asked_side_of_the_held_out_split(seed: int, held_out: bool) -> None:
    text = draw_text(random.Random(seed), held_out=held_out)
    assert is_held_out(text) == held_out
    assert 4 <= len(text.split(" ")) <= 6
