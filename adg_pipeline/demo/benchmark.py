"""The embedded world's held-out questions as tasks of lm-evaluation-harness; the suite `embedded` names these functions.

The questions, the prompt and the marks are those of `adg_pipeline.demo.evaluate`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from adg_pipeline.algorithms.prompts import alpaca_prompt
from adg_pipeline.demo.evaluate import held_out_questions

if TYPE_CHECKING:
    from datasets import Dataset


def documents(skill: str, **_: Any) -> dict[str, "Dataset"]:
    """The held-out questions of one skill, with their prompts."""
    from datasets import Dataset

    rows = [
        {**asdict(question), "prompt": alpaca_prompt(question.instruction, question.input)}
        for question in held_out_questions()
        if question.skill == skill
    ]
    return {"test": Dataset.from_list(rows)}


def mark(document: dict[str, Any], answers: Sequence[str]) -> dict[str, float]:
    """Whether the answer is the right one, but for space around it."""
    return {"exact_match": float(answers[0].strip() == document["output"])}
