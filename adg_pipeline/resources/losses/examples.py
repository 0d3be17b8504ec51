"""Examples as the scorer reads them: the tokens of prompt, reference and sampled answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adg_pipeline.algorithms.prompts import PromptError
from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.resources.generators.base import Passage
from adg_pipeline.resources.generators.endings import STOP
from adg_pipeline.resources.generators.schema import FAILED, OK

Ids = tuple[int, ...]


@dataclass
class Example:
    """One example on its way: its tokens, and the row that its scores go to."""

    row: dict[str, Any]
    prompt: Ids = ()
    reference: Ids = ()
    answer_logprobs: dict[int, float | None] = field(default_factory=dict)

    @property
    def whole(self) -> Passage:
        return Passage((), self.prompt + self.reference)


def tokenized(records: Sequence[Mapping[str, Any]], template: PromptTemplate) -> list[Example]:
    """Prompt and reference of each example as training has them; the reference up to the token that ends it."""
    shard, pairs, rendered = [], [], []
    for record in records:
        example = Example({"example_id": record["example_id"], "status": OK, "reason": None})
        shard.append(example)
        try:
            pairs.append(template.answers(record)[-1])
            rendered.append(example)
        except PromptError as error:
            example.row |= {"status": FAILED, "reason": str(error)}
    prompts = template.encode([prompt for prompt, _ in pairs])
    wholes = template.encode([whole for _, whole in pairs])
    for example, (prompt, whole), ids, whole_ids in zip(rendered, pairs, prompts, wholes, strict=True):
        reference = template.answer_ids(prompt, whole, ids, whole_ids)
        if reference is None:
            example.row |= {
                "status": FAILED,
                "reason": "the chat template doesn't begin the conversation as its prompt",
            }
            continue
        end = next((place for place, token in enumerate(reference) if token in template.turn_ends), len(reference))
        example.prompt, example.reference = tuple(ids), tuple(reference[: end + 1])
        example.row["reference_tokens"] = len(example.reference)
    return shard


def unscored_answers(
    example: Example, sampled: Mapping[str, Any] | None, template: PromptTemplate, kept: bool
) -> dict[int, Passage]:
    """The sampled answers without a log-probability, as passages by their place; the others' are noted.

    kept: whether those that the generations keep are the scorer's own.
    """
    if sampled is None or sampled["status"] != OK:
        return {}
    told = (sampled.get("output_logprobs") if kept else None) or [None] * len(sampled["answers"])
    passages = {}
    for place, (text, reason, logprob) in enumerate(
        zip(sampled["answers"], sampled["finish_reasons"], told, strict=True)
    ):
        example.answer_logprobs[place] = logprob
        if logprob is not None:
            continue
        ids = template.encode_answer(text)
        if reason == STOP and template.end is not None:
            ids = [*ids, template.end]
        passages[place] = Passage(example.prompt, tuple(ids))
    return passages
