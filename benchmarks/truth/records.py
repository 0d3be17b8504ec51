"""Records of the world's pools: the clean ones, and kinds of noise that take the place of some of them.

Every kind is a list of its own, of which a pool takes the first so many; so pools of one world share what they share, and
its answers and vectors are computed once. `source` says what a record is; no arm reads it.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from adg_pipeline.demo.pool import pool_records
from adg_pipeline.demo.questions import Question, garbled_question, skill_question, wrong_answer_question
from adg_pipeline.demo.skills import ALL_SKILLS, BARELY_KNOWN, KNOWN, Skill

Record = dict[str, str]
CLEAN, RANDOM, OTHER_SKILL, OWN_ANSWER, UNMET = "clean", "random", "other-skill", "own-answer", "unmet"
QUERIES = "queries"

_PHRASES = ("Varnish", "Ferment", "Quilt", "Plough", "Baptise", "Solder", "Knead", "Embroider")
# Procedures that the backbone knows, each behind a word that it never met.
UNMET_SKILLS = tuple(
    Skill(f"unmet-{skill.name}", (f"{word} the {{label}}.",), skill.answer)
    for word, skill in zip(_PHRASES, KNOWN, strict=True)
)


def clean(seed: int) -> Iterator[Record]:
    """The demo's pool without its noise."""
    return (_clean_id(record) for record in pool_records(seed) if not record["source"].startswith("noise/"))


def random_noise(seed: int) -> Iterator[Record]:
    """The demo's noise: in turns a garbled instruction and a skill's question, answered with letters drawn at random."""
    stream = random.Random(f"truth/{RANDOM}/{seed}")
    number = 0
    while True:
        number += 1
        garbled = number % 2 == 0
        question = garbled_question(stream) if garbled else wrong_answer_question(stream.choice(ALL_SKILLS), stream)
        yield _record(RANDOM, question.skill, question, number)


def other_skill(seed: int) -> Iterator[Record]:
    """A skill's question with what another skill would rightly answer."""
    stream = random.Random(f"truth/{OTHER_SKILL}/{seed}")
    number = 0
    while True:
        asked, answered = stream.sample(ALL_SKILLS, 2)
        question = skill_question(asked, stream)
        wrong = answered.solve(text_of(question))
        if wrong != question.output:
            number += 1
            yield _record(OTHER_SKILL, asked.name, replace(question, output=wrong), number)


def own_answer(seed: int, answers: Callable[[list[Record]], list[list[str]]], block: int) -> Iterator[Record]:
    """A skill's question with a wrong answer of the backbone itself, the first of some that it gives.

    answers: draws K answers for each of `block` records. Questions that it always answers rightly are passed over, so most
    are of barely known skills.
    """
    stream = random.Random(f"truth/{OWN_ANSWER}/{seed}")
    number = tried = 0
    while True:
        asked = [skill_question(stream.choice(ALL_SKILLS), stream) for _ in range(block)]
        tried += block
        drawn = answers([_record(OWN_ANSWER, question.skill, question, tried + n) for n, question in enumerate(asked)])
        for question, given in zip(asked, drawn, strict=True):
            wrong = next((text for text in map(str.strip, given) if text and text != question.output), None)
            if wrong is not None:
                number += 1
                yield _record(OWN_ANSWER, question.skill, replace(question, output=wrong), number)


def unmet(seed: int) -> Iterator[Record]:
    """Right answers to phrases that the backbone never met, each asking for a procedure that it knows."""
    stream = random.Random(f"truth/{UNMET}/{seed}")
    number = 0
    while True:
        number += 1
        question = skill_question(stream.choice(UNMET_SKILLS), stream)
        yield _record(UNMET, question.skill, question, number)


KINDS: Mapping[str, Callable[[int], Iterator[Record]]] = {
    CLEAN: clean,
    RANDOM: random_noise,
    OTHER_SKILL: other_skill,
    UNMET: unmet,
}


def queries(seed: int, number: int = 64) -> list[Record]:
    """What the subset is to help with, for arms that are given such: barely known skills, rightly answered."""
    stream = random.Random(f"truth/{QUERIES}/{seed}")
    asked = [skill_question(BARELY_KNOWN[n % len(BARELY_KNOWN)], stream) for n in range(number)]
    return [_record(QUERIES, question.skill, question, n) for n, question in enumerate(asked, start=1)]


def first(kind: Iterator[Record], number: int) -> list[Record]:
    return list(islice(kind, number))


def text_of(question: Question) -> str:
    """The letters that a skill's question is about."""
    return question.input or question.instruction.rpartition(" is ")[2]


def _record(kind: str, skill: str, question: Question, number: int) -> Record:
    return {
        "id": f"{kind}-{number:05d}",
        "source": f"{kind}/{skill}",
        "instruction": question.instruction,
        "input": question.input,
        "output": question.output,
    }


def _clean_id(record: Record) -> Record:
    return {**record, "id": f"{CLEAN}-{record['id'].rpartition('-')[2]}"}
