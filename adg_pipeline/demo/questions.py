"""Instructions of every kind with their reference outputs: skills in a scene, open-ended ones, and noise."""

import random
from dataclasses import dataclass

from adg_pipeline.demo.skills import Skill, draw_text
from adg_pipeline.demo.topics import TOPICS, Topic, fill, scene


@dataclass(frozen=True)
class Question:
    """One instruction in Alpaca's shape. ``skill`` names the skill, or the sort of open-ended or noisy instruction."""

    skill: str
    instruction: str
    input: str
    output: str


def skill_question(skill: Skill, stream: random.Random, *, held_out: bool = False, with_scene: bool = True) -> Question:
    """A question of a skill on a fresh text, set in a random scene. The text stands in the input or in the sentence."""
    topic = stream.choice(TOPICS)
    label = stream.choice(topic.labels)
    text = draw_text(stream, held_out=held_out)
    sentences = [scene(topic, stream)] if with_scene else []
    sentences.append(stream.choice(skill.phrasings).format(label=label))
    in_input = stream.random() < 0.6
    if not in_input:
        sentences.append(f"The {label} is {text}")
    return Question(skill.name, " ".join(sentences), text if in_input else "", skill.solve(text))


# The replies to "describe" and "advise" differ in wording and hardly in meaning, those to "story" in both.
_OPEN_ENDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "describe": (
        ("Describe {thing} {place}.", "Tell me about {thing} {place}.", "What is {thing} like {place}?"),
        (
            "{Thing} {place} is {trait}.",
            "{Place}, {thing} is {trait}.",
            "{Trait} is {thing} {place}.",
            "{Thing} is {trait} {place}.",
        ),
    ),
    "advise": (
        ("How can {person} keep {thing} safe?", "Advise {person} on {thing}.", "What should {person} do with {thing}?"),
        (
            "{Person} can look after {thing}.",
            "{Person} should take care of {thing}.",
            "Let {person} take good care of {thing}.",
            "{Thing} is safe if {person} looks after it.",
        ),
    ),
    "story": (
        ("Write a short story about {person}.", "Tell a story set {place}.", "What happens when {person} works?"),
        (
            "One day {person} {deed} {place}. Then {thing} is {trait}.",
            "{Person} {deed}. {Place}, {thing} is {trait}.",
            "{Place}, {person} finds {thing} and {deed}.",
            "Once {person} had {thing}, which was {trait}.",
        ),
    ),
}


def open_ended_question(stream: random.Random) -> Question:
    """An instruction with many right answers: a few sentences from a grammar."""
    topic = stream.choice(TOPICS)
    kind = stream.choice(tuple(_OPEN_ENDED))
    asks, replies = _OPEN_ENDED[kind]
    words = {"person": topic.people, "thing": topic.things, "place": topic.places}
    named = {part: stream.choice(choices) for part, choices in words.items()}
    instruction = " ".join([scene(topic, stream), fill(stream.choice(asks), topic, stream, **named)])
    return Question(kind, instruction, "", fill(stream.choice(replies), topic, stream, **named))


def wrong_answer_question(skill: Skill, stream: random.Random) -> Question:
    """A skill's question with letters drawn at random for an answer."""
    question = skill_question(skill, stream)
    return Question("wrong-answer", question.instruction, question.input, draw_text(stream))


def garbled_question(stream: random.Random) -> Question:
    """Words of a scene with their letters shuffled, and letters drawn at random for an answer."""
    topic: Topic = stream.choice(TOPICS)
    words = f"{scene(topic, stream)} {scene(topic, stream)}".split(" ")
    stream.shuffle(words)
    garbled = ["".join(stream.sample(word, len(word))) for word in words]
    return Question("garbled", " ".join(garbled[: stream.randint(4, 9)]), "", draw_text(stream))
