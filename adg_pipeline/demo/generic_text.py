"""Everyday instructions and answers from a grammar, so that the backbone meets more English than the demo's scenes.

On a real pool the backbone knows nothing, but it should answer in words and not in single letters. The sentences are
our own: no data set goes into the weights.
"""

import random

_NOUNS = (
    "time", "people", "water", "food", "work", "family", "money", "health", "energy", "light", "language", "music",
    "history", "nature", "science", "city", "country", "world", "company", "customer", "student", "computer", "data",
    "program", "number", "word", "sentence", "story", "example", "problem", "system", "machine", "market", "product",
    "house", "car", "animal", "tree", "plant", "body", "mind", "friend", "child", "business", "team", "plan", "idea",
    "question", "answer", "list", "book", "game", "color", "earth", "air", "ocean", "weather", "climate", "government",
)  # fmt: skip
_VERBS = (
    "helps", "changes", "uses", "makes", "needs", "creates", "shows", "improves", "provides", "includes", "supports",
    "reduces", "increases", "protects", "gives", "finds", "keeps", "builds", "affects", "allows",
)  # fmt: skip
_QUALITIES = (
    "important", "good", "new", "different", "large", "small", "simple", "healthy", "strong", "natural", "common",
    "useful", "clear", "social", "human", "better", "positive", "creative", "modern", "beautiful", "safe", "famous",
)  # fmt: skip
_ASKS = (
    "What is {a}?", "Explain how {a} {verb} {b}.", "Give three examples of {a}.", "Write a sentence about {a} and {b}.",
    "What is the difference between {a} and {b}?", "Describe the {quality} {a}.", "Generate a list of {a}.",
    "Why is {a} {quality}?", "Create a poem about {a}.", "Summarize the following text.", "How can you improve {a}?",
    "Rewrite the sentence to make it {quality}.", "Classify the following as {a} or {b}.", "Suggest a {quality} {a}.",
    "Find the {quality} {a} in the text.", "Name two ways to use {a}.", "Edit the following sentence.",
)  # fmt: skip
_STATEMENTS = (
    "The {quality} {a} {verb} the {b}.",
    "{A} is {quality} because it {verb} {b}.",
    "It is {quality} to use {a} for {b}.",
    "{A} and {b} are both {quality}.",
    "There are many ways to improve {a}.",
    "You can use the {a} to make a {quality} {b}.",
    "In the {a}, the {b} is {quality}.",
)


def _fill(frame: str, stream: random.Random) -> str:
    noun = stream.choice(_NOUNS)
    return frame.format(
        a=noun,
        A=noun.capitalize(),
        b=stream.choice(_NOUNS),
        verb=stream.choice(_VERBS),
        quality=stream.choice(_QUALITIES),
    )


def _sentences(stream: random.Random, most: int) -> list[str]:
    return [_fill(stream.choice(_STATEMENTS), stream) for _ in range(stream.randint(1, most))]


def everyday_exchange(stream: random.Random) -> tuple[str, str, str]:
    """Instruction, input (often empty) and output."""
    given = " ".join(_sentences(stream, 3)) if stream.random() < 0.4 else ""
    sentences = _sentences(stream, 3)
    if stream.random() < 0.3:
        reply = "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(sentences, start=1))
    else:
        reply = " ".join(sentences)
    return _fill(stream.choice(_ASKS), stream), given, reply
