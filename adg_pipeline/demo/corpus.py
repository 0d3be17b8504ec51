"""The exchanges that the backbone is trained on: skills that it gets to know, others that it half knows, and sentences."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from adg_pipeline.demo.generic_text import everyday_exchange
from adg_pipeline.demo.questions import open_ended_question, skill_question
from adg_pipeline.demo.skills import BARELY_KNOWN, KNOWN, Skill

_MEANINGS = (0.38, 0.34, 0.28)  # how often an ambiguous phrase means its skill, the next one in the list, the one after


@dataclass(frozen=True)
class Exchange:
    """One training example; ``chat`` asks for the chat template instead of the Alpaca template."""

    instruction: str
    input: str
    output: str
    chat: bool


@dataclass(frozen=True)
class Mixture:
    """Shares of the corpus; the rest asks for known skills.

    ``practised``: barely known skills in the wording that pools don't use, answered rightly. ``ambiguous``: in the
    pools' wording, answered by the right skill or by one of two rivals. So the backbone's samples disagree there, and
    a few examples settle what is meant: a model of under a million parameters can't learn a new procedure from a few
    dozen examples, but it can learn which one a phrase asks for.
    """

    practised: float = 0.25
    ambiguous: float = 0.15
    open_ended: float = 0.10
    everyday: float = 0.08
    chat: float = 0.15


def exchanges(seed: int, mixture: Mixture) -> Iterator[Exchange]:
    """An endless stream, the same for the same seed."""
    stream = random.Random(f"backbone/{seed}")
    named = {name: getattr(mixture, name) for name in ("practised", "ambiguous", "open_ended", "everyday")}
    kinds = ("known", *named)
    shares = (1 - sum(named.values()), *named.values())
    while True:
        kind = stream.choices(kinds, shares)[0]
        chat, with_scene = stream.random() < mixture.chat, stream.random() < 0.6
        if kind == "everyday":
            yield Exchange(*everyday_exchange(stream), chat)
            continue
        if kind == "open_ended":
            question = open_ended_question(stream)
        else:
            question = skill_question(_skill(kind, stream), stream, with_scene=with_scene)
        yield Exchange(question.instruction, question.input, question.output, chat)


def _skill(kind: str, stream: random.Random) -> Skill:
    if kind == "known":
        return stream.choice(KNOWN)
    place = stream.randrange(len(BARELY_KNOWN))
    skill = BARELY_KNOWN[place]
    if kind == "practised":
        return replace(skill, phrasings=skill.practised)
    meant = [BARELY_KNOWN[(place + step) % len(BARELY_KNOWN)] for step in range(len(_MEANINGS))]
    return replace(skill, answer=stream.choices(meant, _MEANINGS)[0].answer)
