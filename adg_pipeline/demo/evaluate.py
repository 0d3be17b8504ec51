"""Greedy exact match of a checkpoint on held-out questions of every skill."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adg_pipeline.algorithms.prompts import Template
from adg_pipeline.demo.questions import Question, skill_question
from adg_pipeline.demo.skills import ALL_SKILLS, BARELY_KNOWN, KNOWN
from adg_pipeline.models.templates import PromptTemplate

_LONGEST_ANSWER = 16  # tokens; the longest right answer is 12 letters and the end token


@dataclass(frozen=True)
class SkillAccuracy:
    """Share of questions answered exactly, between 0 and 1, by skill name.

    marks: of every question, whether it was answered exactly, in the order in which they were asked.
    """

    by_skill: dict[str, float]
    marks: tuple[bool, ...] = ()

    @property
    def known(self) -> float:
        """Mean over the skills that the untuned backbone knows."""
        return sum(self.by_skill[skill.name] for skill in KNOWN) / len(KNOWN)

    @property
    def barely_known(self) -> float:
        """Mean over the skills that the untuned backbone barely knows."""
        return sum(self.by_skill[skill.name] for skill in BARELY_KNOWN) / len(BARELY_KNOWN)

    @property
    def overall(self) -> float:
        """Mean over all skills, each with the same weight."""
        return sum(self.by_skill.values()) / len(self.by_skill)


def held_out_questions(per_skill: int = 24, seed: int = 0) -> list[Question]:
    """``per_skill`` questions of every skill, on texts that no pool and no training text of the backbone holds."""
    stream = random.Random(f"held-out/{seed}")
    return [skill_question(skill, stream, held_out=True) for skill in ALL_SKILLS for _ in range(per_skill)]


def evaluate(
    checkpoint: Path,
    questions: Sequence[Question],
    *,
    batch_size: int = 64,
    threads: int | None = None,
    template: Template = "alpaca",
) -> SkillAccuracy:
    """Accuracy by skill of the model in ``checkpoint``, in float32 on the CPU.

    ``questions`` must ask for every skill. ``threads`` are those of torch while this runs; unchanged if not given.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads or threads_before)
    try:
        marks = answered_rightly(model, PromptTemplate(tokenizer, template), questions, batch_size=batch_size)
    finally:
        torch.set_num_threads(threads_before)
    right: dict[str, list[bool]] = {}
    for question, mark in zip(questions, marks, strict=True):
        right.setdefault(question.skill, []).append(mark)
    return SkillAccuracy({skill: sum(of) / len(of) for skill, of in right.items()}, tuple(marks))


def answered_rightly(
    model: Any, template: PromptTemplate, questions: Sequence[Question], *, batch_size: int = 64
) -> list[bool]:
    """Whether a model's greedy answer to each question is exactly the right one. The tokenizer must pad on the left."""
    import torch

    model.eval()
    marks: list[bool] = []
    for start in range(0, len(questions), batch_size):
        batch = questions[start : start + batch_size]
        prompts = [template.prompt(asdict(question)).text for question in batch]
        inputs = template.tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
        with torch.inference_mode():
            outputs = model.generate(**inputs, do_sample=False, max_new_tokens=_LONGEST_ANSWER)
        tokens = outputs[:, inputs["input_ids"].shape[1] :]
        answers = template.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        marks += [answer.strip() == question.output for question, answer in zip(batch, answers, strict=True)]
    return marks
