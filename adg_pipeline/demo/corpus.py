"""The exchanges that the backbone is trained on: known skills often, barely known ones rarely, and sentences."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from adg_pipeline.demo.generic_text import everyday_exchange
from adg_pipeline.demo.questions import open_ended_question, skill_question
from adg_pipeline.demo.skills import BARELY_KNOWN, KNOWN


@dataclass(frozen=True)
class Exchange:
    """One training example; ``chat`` asks for the chat template instead of the Alpaca template."""

    instruction: str
    input: str
    output: str
    chat: bool


@dataclass(frozen=True)
class Mixture:
    """Shares of the corpus; the rest asks for known skills."""

    barely_known: float = 0.02
    open_ended: float = 0.15
    everyday: float = 0.10
    chat: float = 0.10


def exchanges(seed: int, mixture: Mixture) -> Iterator[Exchange]:
    """An endless stream, the same for the same seed."""
    stream = random.Random(f"backbone/{seed}")
    while True:
        draw, chat, with_scene = stream.random(), stream.random() < mixture.chat, stream.random() < 0.6
        if draw < mixture.everyday:
            yield Exchange(*everyday_exchange(stream), chat)
            continue
        if draw < mixture.everyday + mixture.open_ended:
            question = open_ended_question(stream)
        else:
            rare = draw > 1 - mixture.barely_known
            question = skill_question(stream.choice(BARELY_KNOWN if rare else KNOWN), stream, with_scene=with_scene)
        yield Exchange(question.instruction, question.input, question.output, chat)
