"""The examples of a training, as token ids with a label for every token that the loss counts."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adg_pipeline.algorithms.prompts import PromptError, Template, render_prompt

IGNORED = -100  # the label of a token that the loss doesn't count, as torch and transformers have it

_COLUMNS = ["example_id", "instruction", "input", "output", "messages"]
_BATCH = 1000

TOO_LONG = "longer than max_length"
REFUSED = "refused by the chat template"


@dataclass
class TokenizedExamples:
    """Examples ready for the trainer.

    Attributes:
        input_ids: Token ids of prompt, answer and end-of-sequence, one list per example.
        labels: The same for answer and end-of-sequence, `IGNORED` for the prompt.
        left_out: Ids of the examples that can't be trained on, by reason.
    """

    input_ids: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def subset_fingerprint(subset: Path) -> str:
    """Hash of what a training reads of a subset, in its order; the same whatever else the file holds."""
    digest = hashlib.sha256()
    for row in read_subset(subset):
        row["messages"] = row["messages"] and [_said(turn) for turn in row["messages"]]
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=True).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _said(turn: dict[str, Any]) -> dict[str, Any]:
    """The turn without what it doesn't have: a plain one is known by role and content, as it always was."""
    return {name: value for name, value in turn.items() if name in ("role", "content") or value not in (None, "", True)}


def read_subset(subset: Path) -> Iterator[dict[str, Any]]:
    """The rows of a subset: example_id, instruction, input, output and messages."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(subset) as file:
        missing = sorted(set(_COLUMNS) - set(file.schema_arrow.names))
        if missing:
            raise ValueError(f"{subset} is no subset of a raw pool: it has no column {', '.join(missing)}")
        for batch in file.iter_batches(_BATCH, columns=_COLUMNS):
            yield from batch.to_pylist()


def tokenize_examples(
    rows: list[dict[str, Any]], tokenizer: Any, template: Template, max_length: int
) -> TokenizedExamples:
    """Tokenize prompts as for sampling, and answers after them; leave out what doesn't fit in ``max_length`` tokens.

    The model answers after the tokens of the prompt alone, so these stand unchanged in front of the answer, also where
    the tokenizer would merge across the seam.
    """
    examples = TokenizedExamples()
    for start in range(0, len(rows), _BATCH):
        _tokenize_batch(rows[start : start + _BATCH], tokenizer, template, max_length, examples)
    return examples


def _tokenize_batch(
    rows: list[dict[str, Any]], tokenizer: Any, template: Template, max_length: int, examples: TokenizedExamples
) -> None:
    kept, prompts = [], []
    for row in rows:
        try:
            prompts.append(render_prompt(row["instruction"], row["input"], row["messages"], template, tokenizer))
            kept.append(row)
        except PromptError:
            examples.left_out.setdefault(REFUSED, []).append(row["example_id"])
    if not kept:
        return
    answers = [row["output"] for row in kept]
    prompt_ids = tokenizer(prompts).input_ids
    joint_ids = tokenizer([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]).input_ids
    apart_ids = tokenizer(answers, add_special_tokens=False).input_ids
    for row, prompt, joint, apart in zip(kept, prompt_ids, joint_ids, apart_ids, strict=True):
        # Where the seam is clean the answer is tokenized in its place, since some tokenizers (SentencePiece) put a
        # space before a text's first word.
        clean = joint[: len(prompt)] == prompt
        answer = [*(joint[len(prompt) :] if clean else apart), tokenizer.eos_token_id]
        if len(prompt) + len(answer) > max_length:
            examples.left_out.setdefault(TOO_LONG, []).append(row["example_id"])
        else:
            examples.input_ids.append(prompt + answer)
            examples.labels.append([IGNORED] * len(prompt) + answer)
