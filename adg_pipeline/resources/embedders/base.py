"""What an embedder takes and gives, and what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.errors import PipelineError
from adg_pipeline.progress import Progress
from adg_pipeline.resources.embedders.reading import Reading

Vectors = NDArray[np.float32]
LongTexts = Literal["windows", "cut"]
Text = TypeVar("Text", str, tuple[str, str])


class EmbedderError(PipelineError, ValueError):
    """The embedder can't do what the settings ask of it. The message names the setting."""


class Embedder(ABC):
    """Texts in, unit vectors out, in the order given, however they were batched.

    The model is loaded on entering the context, or else at first use, and freed on leaving it.

    Equal texts of one call are embedded once, so equal answers have exactly equal vectors and their dispersion is 0. A
    text without content is a zero vector (each embedder says what counts as one). A model that overflows gives NaN:
    that row is returned as it is, for the caller to report.

    A text longer than the model reads at a time is read in windows, and its vector is their mean, at unit length; or it
    is cut, where that is asked for. `reading` tells what was read in the last call: (N, K) values of answers, (N,) of
    instructions. ``progress`` is called with texts done and texts in all; of equal ones only one counts.
    """

    reading: Reading

    #: What it runs on, for the record of what a shard took; known once it is open.
    hardware: str = "not known"

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of the vectors."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What decides the vectors: the model's content and how it is pooled, as plain JSON values."""

    @abstractmethod
    def embed_answers(
        self, instructions: Sequence[str], answers: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> Vectors:
        """Vectors of the K answers to each of N instructions: (N, K, d).

        Raises:
            ValueError: the lengths differ, or not all instructions have the same number of answers.
        """

    @abstractmethod
    def embed_instructions(self, instructions: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Vectors of instructions alone, the space of the semantic bins: (N, d)."""

    @abstractmethod
    def open(self) -> None:
        """Load the model, unless it is loaded."""

    @abstractmethod
    def close(self) -> None:
        """Free the model. A later use loads it again."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def answers_per_instruction(instructions: Sequence[str], answers: Sequence[Sequence[str]]) -> int:
    """K; a ValueError unless each instruction has K answers. 0 where there are no instructions."""
    if len(instructions) != len(answers):
        raise ValueError(f"{len(instructions)} instructions but answers to {len(answers)}")
    k = len(answers[0]) if answers else 0
    for row, drawn in enumerate(answers):
        if len(drawn) != k:
            raise ValueError(f"row {row} has {len(drawn)} answers, row 0 has {k}: every instruction needs as many")
    return k


def embed_distinct(
    texts: Sequence[Text], embed: Callable[[list[Text]], tuple[Vectors, Reading]]
) -> tuple[Vectors, Reading]:
    """Vectors of ``texts``, (N, d), where ``embed`` sees each distinct text once, in an order of their own."""
    distinct = sorted(set(texts))
    place = {text: row for row, text in enumerate(distinct)}
    vectors, reading = embed(distinct)
    rows = [place[text] for text in texts]
    return vectors[rows], reading[rows]


def free_gpu_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
