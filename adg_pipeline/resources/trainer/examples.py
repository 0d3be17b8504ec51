"""The examples of a training, as token ids with a label for every token that the loss counts."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adg_pipeline.algorithms.prompts import NoPlace, PromptError
from adg_pipeline.models.templates import Prompt, PromptTemplate
from adg_pipeline.progress import Progress

IGNORED = -100  # the label of a token that the loss doesn't count, as torch and transformers have it

_COLUMNS = ["example_id", "instruction", "input", "output", "messages"]
_BATCH = 1000

TOO_LONG = "longer than max_length"
REFUSED = "refused by the chat template"
NOT_CONTINUED = "the chat template writes a prompt that its answered conversation doesn't begin with"


@dataclass
class TokenizedExamples:
    """Examples ready for the trainer.

    Attributes:
        input_ids: Token ids of prompt and answer, one list per sequence: more than one for a conversation that learns
            all its answers under a template that shows earlier ones otherwise than it has them written.
        labels: The same for what is learnt, `IGNORED` elsewhere.
        count: Examples in them.
        left_out: Ids of the examples that can't be trained on, by reason.
    """

    input_ids: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    count: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, example_id: str, reason: str) -> None:
        self.left_out.setdefault(reason, []).append(example_id)


def subset_fingerprint(subset: Path) -> str:
    """Hash of what a training reads of a subset, in its order; the same whatever else the file holds."""
    digest = hashlib.sha256()
    for row in read_subset(subset):
        row["messages"] = row["messages"] and [_said(turn) for turn in row["messages"]]
        if not row["tools"]:
            del row["tools"]
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=True).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _said(turn: dict[str, Any]) -> dict[str, Any]:
    """The turn without what it doesn't have: a plain one is known by role and content, as it always was."""
    return {name: value for name, value in turn.items() if name in ("role", "content") or value not in (None, "", True)}


def read_subset(subset: Path) -> Iterator[dict[str, Any]]:
    """The rows of a subset: example_id, instruction, input, output, messages and tools."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(subset) as file:
        missing = sorted(set(_COLUMNS) - set(file.schema_arrow.names))
        if missing:
            raise ValueError(f"{subset} is no subset of a raw pool: it has no column {', '.join(missing)}")
        # A subset of before there were tools has no column for them.
        for batch in file.iter_batches(_BATCH, columns=[*_COLUMNS, "tools"]):
            yield from ({"tools": "", **row} for row in batch.to_pylist())


def tokenize_examples(
    rows: list[dict[str, Any]],
    template: PromptTemplate,
    max_length: int,
    assistant_turns: Literal["last", "all"] = "last",
    progress: Progress = lambda done, total: None,
) -> TokenizedExamples:
    """Prompts as they are sampled, and after them what the template writes for the answer, end of turn included.

    Examples that don't fit in ``max_length`` tokens are left out, and those that the template can't write.
    """
    examples = TokenizedExamples()
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        _tokenize_batch(batch, template, max_length, assistant_turns == "all", examples)
        progress(start + len(batch), len(rows))
    return examples


def _tokenize_batch(
    rows: list[dict[str, Any]], template: PromptTemplate, max_length: int, every_turn: bool, examples: TokenizedExamples
) -> None:
    rendered: list[tuple[str, list[tuple[Prompt, Prompt]]]] = []
    for row in rows:
        try:
            rendered.append((row["example_id"], template.answers(row, every_turn=every_turn)))
        except PromptError as error:
            examples.leave_out(row["example_id"], str(error) if isinstance(error, NoPlace) else REFUSED)
    texts = [text for _, answers in rendered for answer in answers for text in answer]
    ids = iter(template.encode(texts))
    for example_id, answers in rendered:
        learnt = []
        for prompt, whole in answers:
            prompt_ids, whole_ids = next(ids), next(ids)
            learnt.append((prompt_ids, template.answer_ids(prompt, whole, prompt_ids, whole_ids)))
        known = [(prompt, answer) for prompt, answer in learnt if answer is not None]
        sequences = _sequences(known)
        if len(known) < len(learnt):
            examples.leave_out(example_id, NOT_CONTINUED)
        elif max(len(ids) for ids, _ in sequences) > max_length:
            examples.leave_out(example_id, TOO_LONG)
        else:
            examples.count += 1
            examples.input_ids.extend(ids for ids, _ in sequences)
            examples.labels.extend(labels for _, labels in sequences)


def _sequences(answers: list[tuple[list[int], list[int]]]) -> list[tuple[list[int], list[int]]]:
    """Token ids and labels of answers to one conversation, each after its prompt; in as few sequences as possible.

    An answer is learnt where it stands in a later one's prompt, if that shows it, and what came before it, as it was
    asked and is to be written. Templates that take reasoning out of earlier turns show it otherwise: it has a sequence
    of its own then.
    """
    sequences: list[tuple[list[int], list[int]]] = []
    for prompt, answer in reversed(answers):
        end = len(prompt) + len(answer)
        labels = next((labels for ids, labels in sequences if ids[:end] == prompt + answer), None)
        if labels is None:
            labels = [IGNORED] * end
            sequences.append((prompt + answer, labels))
        labels[len(prompt) : end] = answer
    return sequences
