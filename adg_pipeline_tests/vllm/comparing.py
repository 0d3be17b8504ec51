"""Answers of two engines: the same but for the rounding of their log-probabilities."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from adg_pipeline.resources.generators.base import Answer, AnswerError


def require_alike(had: Sequence[Answer | AnswerError], expected: Sequence[Answer | AnswerError]) -> None:
    """Fail unless all is equal and log-probabilities are within 0.001."""
    assert _without_logprobs(had) == _without_logprobs(expected)
    assert _logprobs(had) == pytest.approx(_logprobs(expected), abs=1e-3)


def _without_logprobs(outcomes: Sequence[Answer | AnswerError]) -> list[Answer | AnswerError]:
    return [replace(one, logprob=None) if isinstance(one, Answer) else one for one in outcomes]


def _logprobs(outcomes: Sequence[Answer | AnswerError]) -> list[float | None]:
    return [one.logprob for one in outcomes if isinstance(one, Answer)]
