"""Prompts that a template was put around already: recognised as a whole, and taken off.

A template is put around what is asked when an answer is sampled and when it is learnt; around a prompt that has one, it
would stand twice. Only a text that is a template's prompt from its first character to its last is taken for one. A text
that merely speaks of such marks stays as it is; one that begins as a prompt of control tokens or of Alpaca's and doesn't
go on like one is Unusable, since what is asked in it can't be told.
"""

import re
from dataclasses import dataclass

from adg_pipeline.algorithms.prompts import standard_role
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.schema import Message


@dataclass(frozen=True)
class Unwrapped:
    """What a prompt wraps. template: its name. end: pattern of what ends the answer in that template."""

    template: str
    turns: tuple[Message, ...]
    input: str = ""
    end: str = ""

    def without_end(self, answer: str) -> str:
        return re.sub(rf"\s*(?:{self.end})\s*\Z", "", answer) if self.end else answer


@dataclass(frozen=True)
class _Style:
    """A template that marks each turn.

    start: pattern of a turn's mark; its group is the role. end: pattern of what closes a turn, "" if nothing does.
    opening: pattern of what may stand before the first mark. certain: whether the marks occur in no other text, so that
    a text that begins with one is a prompt, whole or not.
    """

    name: str
    start: re.Pattern[str]
    end: str = ""
    opening: str = r"\s*"
    certain: bool = True


_BOS = r"\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|startoftext\|>)?\s*"
_EOS = r"</s>|<\|endoftext\|>|<eos>"
_CHAT_BETWEEN = r"\s*(?:A chat between [^\n]*|The following is a conversation between [^\n]*)?\s*"
_STYLES = (
    _Style("ChatML", re.compile(r"<\|im_start\|>(\w+)\n?"), r"<\|im_end\|>|" + _EOS, _BOS),
    _Style(
        "Llama 3",
        re.compile(r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n*"),
        r"<\|eot_id\|>|<\|end_of_text\|>",
        _BOS,
    ),
    _Style("Gemma", re.compile(r"<start_of_turn>(\w+)\n?"), r"<end_of_turn>|" + _EOS, _BOS),
    _Style("Zephyr", re.compile(r"<\|(system|user|assistant|prompter)\|>\n?"), r"<\|end\|>|<\|eot\|>|" + _EOS, _BOS),
    _Style("Llama 2", re.compile(r"(\[INST\]|\[/INST\])"), _EOS, _BOS),
    _Style(
        "Guanaco", re.compile(r"###\s*(Human|User|Assistant|Bot|System):[ \t]*\n?"), _EOS, _CHAT_BETWEEN, certain=False
    ),
    _Style(
        "Vicuna",
        re.compile(r"(?:(?<=\s)|(?<=</s>)|\A)(USER|ASSISTANT|SYSTEM):[ \t]*"),
        _EOS,
        _CHAT_BETWEEN,
        certain=False,
    ),
    _Style("Human and Assistant", re.compile(r"^(Human|User|Assistant):[ \t]*", re.MULTILINE), _EOS, certain=False),
)
# Any of them, and a part of each, so that most texts cost a few searches for bare characters.
_PARTS = ("###", "<|", "<start_of_turn>", "[INST]", "USER:", "Human:", "User:")
_MARK = re.compile(r"<\|\w+\|>|<start_of_turn>|\[INST\]|###|\b(?:USER|Human|User):")

_ALPACA = re.compile(
    r"\A\s*(?P<before>[^#]*?)\s*### ?Instructions?:[ \t]*\n*(?P<instruction>.*?)"
    r"(?:\n+### ?Inputs?:[ \t]*\n*(?P<input>.*?))?\n+### ?(?:Response|Output|Answer):\s*\Z",
    re.DOTALL,
)
_ALPACA_OPENING = "Below is an instruction that describes a task"
_ALPACA_HEADING = re.compile(r"^### ?(?:Instructions?|Inputs?|Response|Output|Answer):", re.MULTILINE)


def unwrapped(prompt: str) -> Unwrapped | None:
    """What the prompt wraps, through all of its layers; None if it is no template's. Unusable if that can't be told."""
    found = _unwrapped(prompt)
    if found is None or len(found.turns) > 1 or found.input:
        return found
    return unwrapped(found.turns[0].content) or found


def wears_marks(text: str) -> bool:
    """Whether a mark of some template occurs in the text at all."""
    return any(map(text.__contains__, _PARTS)) and _MARK.search(text) is not None


def _unwrapped(prompt: str) -> Unwrapped | None:
    if not wears_marks(prompt):
        return None
    return _alpaca(prompt) or next((found for style in _STYLES if (found := _turns(prompt, style))), None)


def _alpaca(prompt: str) -> Unwrapped | None:
    match = _ALPACA.match(prompt)
    if match is None:
        if prompt.lstrip().startswith(_ALPACA_OPENING) and _ALPACA_HEADING.search(prompt):
            raise Unusable("prompt template", "it begins as Alpaca's and doesn't end with its heading for the response")
        return None
    before, instruction, input = (match[name] or "" for name in ("before", "instruction", "input"))
    if _ALPACA_HEADING.search(f"{instruction}\n{input}") and (input or _ALPACA.match(instruction) is None):
        raise Unusable("prompt template", "the headings of Alpaca's stand in it more than once")
    # A preamble of the pool's own says something; Alpaca's own is put there again.
    system = () if not before or before.startswith("Below is a") else (Message("system", before),)
    return Unwrapped("Alpaca", (*system, Message("user", instruction.strip())), input.strip(), _EOS)


def _turns(prompt: str, style: _Style) -> Unwrapped | None:
    marks = list(style.start.finditer(prompt))
    if not marks or not re.fullmatch(style.opening, prompt[: marks[0].start()]):
        return None
    turns = []
    for place, mark in enumerate(marks):
        end = marks[place + 1].start() if place + 1 < len(marks) else len(prompt)
        turns.append(_turn(mark[1], prompt[mark.end() : end], style))
    # Plain words mark a prompt only if it ends with the mark that the answer is to follow.
    asks = turns[-1] == Message("assistant", "")
    if not asks and not style.certain:
        return None
    spoken = [turn for turn in (turns[:-1] if asks else turns) if turn.content or turn.role != "system"]
    if style.name == "Llama 2" and spoken:
        spoken[:1] = _llama_2_system(spoken[0])
    roles = [turn.role for turn in spoken if turn.role != "system"]
    systems = [place for place, turn in enumerate(spoken) if turn.role == "system"]
    alternate = len(roles) % 2 == 1 and all(
        role == ("user", "assistant")[place % 2] for place, role in enumerate(roles)
    )
    if not alternate or systems not in ([], [0]) or not all(turn.content for turn in spoken):
        raise Unusable("prompt template", f"it begins as {style.name}'s, but its turns don't lead up to an answer")
    return Unwrapped(style.name, tuple(spoken), end=style.end)


def _turn(mark: str, text: str, style: _Style) -> Message:
    role = {"[INST]": "user", "[/INST]": "assistant"}.get(mark) or standard_role(mark)
    return Message(
        role, re.sub(rf"\s*(?:{style.end})(?:\s*<s>)?\s*\Z", "", text).strip() if style.end else text.strip()
    )


def _llama_2_system(first: Message) -> list[Message]:
    match = re.fullmatch(r"<<SYS>>(.*?)<</SYS>>(.*)", first.content, re.DOTALL)
    if match is None:
        return [first]
    system = [Message("system", match[1].strip())] if match[1].strip() else []
    return [*system, Message("user", match[2].strip())]
