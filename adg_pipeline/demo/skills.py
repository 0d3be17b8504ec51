"""Procedural skills on short strings of letters: what the embedded backbone is asked to do, and the right answers.

A text is a list of lower-case letters, written with spaces between them (``"k q z f"``), so that each letter is one
token whatever stands beside it. Texts are drawn at random: with a few dozen fixed words a model learns the words, not
the skill.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_lowercase

MIN_LETTERS, MAX_LETTERS = 4, 6
_HELD_OUT_SHARE = 8


@dataclass(frozen=True)
class Skill:
    """One thing to do with a text. Phrasings hold ``{label}``, the topic's word for the text.

    Pools and questions ask by ``phrasings``. A barely known skill was ``practised`` by the backbone in other words only:
    it can do the thing, but is unsure which thing ``phrasings`` ask for.
    """

    name: str
    phrasings: tuple[str, ...]
    answer: Callable[[list[str]], list[str]]
    practised: tuple[str, ...] = ()

    def solve(self, text: str) -> str:
        """The right answer for a text of letters with spaces between them."""
        return " ".join(self.answer(text.split(" ")))


def is_held_out(text: str) -> bool:
    """Whether a text belongs to the held-out questions: a property of the text itself, one in eight.

    Pools and the backbone's training texts leave these out, so no pool, whatever its seed, can hold a test question.
    """
    return zlib.crc32(text.encode()) % _HELD_OUT_SHARE == 0


def draw_text(stream: random.Random, *, held_out: bool = False) -> str:
    """A random text of 4 to 6 letters from the asked side of the held-out split."""
    while True:
        text = " ".join(stream.choices(ascii_lowercase, k=stream.randint(MIN_LETTERS, MAX_LETTERS)))
        if is_held_out(text) == held_out:
            return text


def _pairs_swapped(letters: list[str]) -> list[str]:
    swapped = list(letters)
    for i in range(0, len(letters) - 1, 2):
        swapped[i], swapped[i + 1] = letters[i + 1], letters[i]
    return swapped


KNOWN: tuple[Skill, ...] = (
    Skill(
        "copy",
        ("Copy the {label}.", "Repeat the {label} as it stands.", "Write the {label} again without a change."),
        lambda x: x,
    ),
    Skill(
        "reverse",
        ("Reverse the {label}.", "Write the {label} backwards.", "Spell the {label} from its end to its start."),
        lambda x: x[::-1],
    ),
    Skill(
        "uppercase",
        ("Put the {label} in capitals.", "Write the {label} in upper case.", "Turn the {label} into capital letters."),
        lambda x: [letter.upper() for letter in x],
    ),
    Skill(
        "first-letter",
        ("Give the first letter of the {label}.", "Which letter opens the {label}?", "How does the {label} begin?"),
        lambda x: x[:1],
    ),
    Skill(
        "last-letter",
        ("Give the last letter of the {label}.", "Which letter closes the {label}?", "How does the {label} end?"),
        lambda x: x[-1:],
    ),
    Skill(
        "double",
        ("Double every letter of the {label}.", "Write each letter of the {label} twice.", "Stutter the {label}."),
        lambda x: [letter for letter in x for _ in range(2)],
    ),
    Skill(
        "drop-first",
        (
            "Remove the first letter of the {label}.",
            "Behead the {label}.",
            "Write the {label} without its first letter.",
        ),
        lambda x: x[1:],
    ),
    Skill(
        "count",
        ("Count the letters of the {label}.", "How long is the {label}?", "How many letters has the {label}?"),
        lambda x: [str(len(x))],
    ),
)

BARELY_KNOWN: tuple[Skill, ...] = (
    Skill(
        "drop-last",
        ("Curtail the {label}.", "Trim the tail of the {label}."),
        lambda x: x[:-1],
        practised=("Remove the last letter of the {label}.",),
    ),
    Skill(
        "rotate",
        ("Cycle the {label} one step.", "Roll the {label} to the left."),
        lambda x: x[1:] + x[:1],
        practised=("Move the first letter of the {label} to its end.",),
    ),
    Skill(
        "mirror",
        ("Mirror the {label}.", "Make a palindrome of the {label}."),
        lambda x: x + x[::-1],
        practised=("Write the {label} and then its reverse.",),
    ),
    Skill(
        "swap-ends",
        ("Swap the ends of the {label}.", "Trade the outer places in the {label}."),
        lambda x: [x[-1], *x[1:-1], x[0]],
        practised=("Exchange the first and the last letter of the {label}.",),
    ),
    Skill(
        "swap-pairs",
        ("Flip the {label} two by two.", "Weave the {label}."),
        _pairs_swapped,
        practised=("Exchange the letters of each pair in the {label}.",),
    ),
    Skill(
        "every-second",
        ("Thin out the {label}.", "Leap through the {label}."),
        lambda x: x[::2],
        practised=("Keep every second letter of the {label}.",),
    ),
    Skill(
        "capital-ends",
        ("Crown the {label}.", "Put towers at the ends of the {label}."),
        lambda x: [x[0].upper(), *x[1:-1], x[-1].upper()],
        practised=("Put the first and the last letter of the {label} in capitals.",),
    ),
    Skill(
        "reverse-capitals",
        ("Shout the {label} backwards.", "Call the {label} out from its end."),
        lambda x: [letter.upper() for letter in x[::-1]],
        practised=("Write the {label} backwards and in capitals.",),
    ),
)

ALL_SKILLS: tuple[Skill, ...] = KNOWN + BARELY_KNOWN
