"""Control tokens: what only a template may write, so that an example that spells one is read as the text it is."""

import logging
import re
from collections.abc import Collection, Sequence
from typing import Any

logger = logging.getLogger(__name__)

# Private-use characters, which templates pass on as they are.
_MARK, _UNMARK = "\uf8f0", "\uf8f1"
_MARKED = re.compile(f"{_MARK}(.*?){_UNMARK}", re.DOTALL)


class ControlTokens:
    """Finds spellings of control tokens in texts, and encodes them as text.

    Control tokens are the tokenizer's special tokens and ``more``. A text is handled in pieces, of which every second is
    such a spelling. The tokenizers' own switch for this (``split_special_tokens``) would take a whole text, the
    template's control tokens with it.
    """

    def __init__(self, tokenizer: Any, more: Collection[int]) -> None:
        self._tokenizer = tokenizer
        special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        tokens = {*special, *tokenizer.all_special_tokens, *tokenizer.convert_ids_to_tokens(list(more))}
        # A token may begin another: the longer one is what the tokenizer finds.
        self._spelling = re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")

    def cut(self, text: str) -> tuple[str, ...]:
        """Pieces of a text that holds no control token of a template's."""
        return tuple(_MARKED.split(self.marked(text)))

    def marked(self, value: Any) -> Any:
        """A JSON value with the spellings in its texts marked, to be cut at once it is rendered."""
        if isinstance(value, str):
            return self._spelling.sub(f"{_MARK}\\g<0>{_UNMARK}", value)
        if isinstance(value, dict):
            return {key: self.marked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.marked(item) for item in value]
        return value

    def cut_at_marks(self, rendered: str, text: str) -> tuple[str, ...]:
        """Pieces of ``text`` as the marks in its other rendering say; whole where the template changed these."""
        pieces = tuple(_MARKED.split(rendered))
        if "".join(pieces) == text:
            return pieces
        logger.warning("the chat template changes a text that spells a control token, which is left a control token")
        return (text,)

    def encode(self, texts: Sequence[tuple[str, ...]]) -> list[list[int]]:
        """Token ids of texts in pieces. The tokenizer adds nothing to them."""
        if not texts:
            return []
        beginnings = self._tokenizer([pieces[0] for pieces in texts], add_special_tokens=False).input_ids
        return [
            [*ids, *self._encode_rest(pieces[1:], spelling=True)]
            for ids, pieces in zip(beginnings, texts, strict=True)
        ]  # fmt: skip

    def encode_inside(self, pieces: tuple[str, ...]) -> list[int]:
        """Token ids of a text that stands behind another one."""
        return self._encode_rest(pieces, spelling=False)

    def _encode_rest(self, pieces: tuple[str, ...], spelling: bool) -> list[int]:
        ids: list[int] = []
        for piece in pieces:
            # Without its first character no token is what it spells.
            for part in (piece[:1], piece[1:]) if spelling else (piece,):
                ids.extend(self._inside(part))
            spelling = not spelling
        return ids

    def _inside(self, text: str) -> list[int]:
        """Behind a line break, which is taken off again: SentencePiece puts a space before a text's first word."""
        if not text:
            return []
        both, line_break = self._tokenizer(["\n" + text, "\n"], add_special_tokens=False).input_ids
        if both[: len(line_break)] == line_break:
            return list(both[len(line_break) :])
        return list(self._tokenizer([text], add_special_tokens=False).input_ids[0])


def pieces_behind(pieces: tuple[str, ...], beginning: str) -> tuple[str, ...] | None:
    """The pieces of a text without its beginning; None if it begins otherwise."""
    if not "".join(pieces).startswith(beginning):
        return None
    left, place = len(beginning), 0
    while left > len(pieces[place]):
        left -= len(pieces[place])
        place += 1
    rest = (pieces[place][left:], *pieces[place + 1 :])
    # Every second piece is a spelling, so one that is cut stands second again.
    return ("", *rest) if place % 2 else rest


def put_before_every_text(tokenizer: Any) -> list[int]:
    """Ids that the tokenizer puts before every text: BOS, as a rule, or nothing."""
    (bare,) = tokenizer(["a"], add_special_tokens=False).input_ids
    (full,) = tokenizer(["a"]).input_ids
    place = next((start for start in range(len(full)) if full[start : start + len(bare)] == bare), 0)
    return list(full[:place])


def first_added_token(tokenizer: Any, text: str) -> int | None:
    """The token that a text begins with, white space aside, if it is one of the added vocabulary."""
    added = set(tokenizer.get_added_vocab().values())
    for token in tokenizer([text], add_special_tokens=False).input_ids[0]:
        if token in added and tokenizer.decode([token]).strip():
            return int(token)
        if tokenizer.decode([token]).strip():
            return None
    return None
