"""What a record, or a turn, says about itself: that it is no good answer, isn't to be learnt, or needs more than text."""

from typing import Any

from adg_pipeline.formats import names
from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, describe, is_empty

_GOOD = (
    "label", "kto_tag", "kto_label", "desirable", "is_desirable", "good", "is_good", "correct", "is_correct", "accepted",
    "is_accepted", "approved", "liked", "thumbs_up", "is_chosen", *names.CHOSEN,
)  # fmt: skip
_BAD = (
    "undesirable", "is_undesirable", "bad", "is_bad", "is_rejected", "thumbs_down", "disliked", "deleted", *names.REJECTED,
)  # fmt: skip
_MARKS, _OF_PAIRS = {*_GOOD, *_BAD}, {*names.CHOSEN, *names.REJECTED}
_WORDS = {
    **dict.fromkeys(
        ("desirable", "good", "chosen", "preferred", "accepted", "like", "thumbs_up", "true", "1", "1.0"), True
    ),
    **dict.fromkeys(
        ("undesirable", "bad", "rejected", "dispreferred", "dislike", "thumbs_down", "false", "0", "0.0", "-1"), False
    ),
}
_LEARN = (
    "learn", "learnable", "weight", "train", "training", "trainable", "is_trainable", "train_on", "train_detail", "loss",
    "loss_weight", "loss_scale", "loss_mask", "compute_loss", "calculate_loss",
)  # fmt: skip
_HIDE = ("mask", "masked", "ignore_loss", "no_loss", "loss_ignore")
_OF_LEARNING = {*_LEARN, *_HIDE}


def refuse_marked(record: Record) -> None:
    """Unusable, with the key's name, for a record that says it is no good answer, not to be learnt, or not of text."""
    refuse_media(record)
    name = marked_bad(record)
    if name:
        raise Unusable("marked as undesirable", f"'{name}' is {_shown(record.peek(name))}")
    if not may_be_learnt(record):
        raise Unusable("nothing to be learnt", "the record is marked as not to be learnt")
    for name in record.filled(names.CHOICES):
        if not _stand_in(record.get(name), record):
            raise Unusable("multiple choice", f"'{name}' stand beside the question: write them into its text")


def refuse_media(record: Record) -> None:
    for name in record.names:
        if names.is_media(name) and not is_empty(record.peek(name)):
            raise Unusable("not text", f"'{record.place}{name}': needs something else than text")


def marked_bad(record: Record) -> str:
    """The key that says so; empty if none does. What isn't a mark (a class, the chosen answer itself) isn't read."""
    for name in record.names:
        value = record.peek(name)
        # The texts of a preference pair stand under such names, too.
        if name not in _MARKS or (name in _OF_PAIRS and not isinstance(value, bool)):
            continue
        verdict = _verdict(value)
        if verdict is None:
            continue
        record.get(name)
        if verdict is (name in _BAD):
            return name
    return ""


def _verdict(value: Any) -> bool | None:
    if isinstance(value, str):
        return _WORDS.get(names.plain(value))
    return bool(value > 0) if isinstance(value, int | float) and value in (-1, 0, 1) else None


def may_be_learnt(record: Record, learner: bool = True) -> bool:
    """Whether no key takes the record or turn out of the loss. learner: whether it is a turn of the assistant.

    A weight between 0 and 1 counts as 1, since the loss knows no weights, and is named among the keys not used. So is
    a mark that has a turn of somebody else learnt.
    """
    learnt = True
    for name in record.names & _OF_LEARNING:
        value = record.peek(name)
        verdict = _learnt(value, name, record)
        if verdict is None:
            continue
        if not verdict or (learner and not _is_fraction(value)):
            record.get(name)
        learnt = learnt and verdict
    return learnt


def _learnt(value: Any, name: str, record: Record) -> bool | None:
    """None for what is no mark: a weight by another name than a number, true or false."""
    if isinstance(value, list) and value:
        verdicts = {_learnt(part, name, record) for part in value}
        if len(verdicts) > 1 or None in verdicts:
            raise Unusable("partly to be learnt", f"'{record.place}{name}' tells parts of a text apart")
        return verdicts.pop()
    if name in _HIDE:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise Unusable("ambiguous mark", f"'{record.place}{name}' is {value}: write `train` with true or false")
        return None if (mark := _verdict(value)) is None else not mark
    if isinstance(value, str):
        try:
            return float(value) > 0
        except ValueError:
            return _verdict(value)
    return value > 0 if isinstance(value, int | float) else None


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float) and value > 0 and value != 1


def _stand_in(choices: Any, record: Record) -> bool:
    """Whether the question has all the choices in its text already."""
    if isinstance(choices, dict):
        choices = choices.get("text")
    asked = "\n".join(str(record.peek(name)) for name in (*names.ASKED, *names.CONTEXT) if record.peek(name))
    return isinstance(choices, list) and all(isinstance(choice, str) and choice in asked for choice in choices)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else describe(value)
