"""The reference losses of one shard: passages to score, and what is made of their scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from adg_pipeline.algorithms.prompts import PromptError, user_turn
from adg_pipeline.errors import ShardFault
from adg_pipeline.models.templates import Prompt, PromptTemplate
from adg_pipeline.resources.generators.base import (
    LOCAL_SCORER,
    AnswerError,
    Generator,
    GeneratorError,
    Passage,
    TokenScores,
)
from adg_pipeline.resources.generators.endings import STOP
from adg_pipeline.resources.generators.schema import FAILED, OK, PROMPT_TOO_LONG
from adg_pipeline.resources.losses.schema import REFERENCE_LOSSES_SCHEMA
from adg_pipeline.settings.sections import ReferenceLossConfig

MARKER = (
    "### Response:\n"  # opens a response in the Alpaca template: what IFD scores an answer after when it stands alone
)
DECIMALS = 4
# Examples whose passages are scored at a time: bounds memory, and gives the engine enough to sort by length.
BLOCK = 512
# Thresholds of the reach gate that the share of examples within is told of.
GAPS = (-0.5, -1.0, -2.0, -3.0)

Ids = tuple[int, ...]


@dataclass
class _Example:
    """One example on its way: its tokens, and where its scores go."""

    row: dict[str, Any]
    prompt: Ids = ()
    reference: Ids = ()
    answer_logprobs: dict[int, float | None] = field(default_factory=dict)


_Take = Callable[[_Example, TokenScores], None]


def score_references(
    examples: pa.Table,
    answers: pa.Table,
    generator: Generator,
    config: ReferenceLossConfig,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """A table of `REFERENCE_LOSSES_SCHEMA`, in the order of ``examples``, and what to say of it.

    Args:
        examples: a raw pool table.
        answers: the shard's generations. Their log-probabilities are taken where they were kept and the backbone
            scores; otherwise the answers are scored as well.
        generator: an open generator, the scorer.
        progress: called with (examples done, examples in all).

    Raises:
        GeneratorError: the engine can't score a given text.
        ShardFault: more examples failed than ``config.max_failed_share`` allows. Those too long for the context don't
            count as failed.
    """
    if generator.template is None:
        raise GeneratorError(
            "references are scored token by token, and the tokenizer isn't at hand: set `generations.backbone`, or "
            f"{LOCAL_SCORER}"
        )
    records, sampled = examples.to_pylist(), {row["example_id"]: row for row in answers.to_pylist()}
    rows: list[dict[str, Any]] = []
    for start in range(0, len(records), BLOCK):
        block = records[start : start + BLOCK]
        rows += _score_block(block, sampled, generator, config)
        _require_few_failures(rows, len(records), config.max_failed_share)
        if progress:
            progress(len(rows), len(records))
    return pa.Table.from_pylist(rows, schema=REFERENCE_LOSSES_SCHEMA), _facts(rows)


def _facts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, and how the references compare with the answers: what a reach gate passes at some thresholds."""
    scored = [row for row in rows if row["status"] == OK]
    gaps = np.array(
        [
            row["reference_logprob"] - row["answer_logprob"]
            for row in scored
            if row.get("reference_logprob") is not None and row.get("answer_logprob") is not None
        ]
    )
    within = (
        {f"share_within_{-limit:g}": round(float((gaps >= limit).mean()), 4) for limit in GAPS} if len(gaps) else {}
    )
    return {
        "scored": len(scored),
        "failed": sum(row["status"] == FAILED for row in rows),
        "too_long": sum(row["status"] == PROMPT_TOO_LONG for row in rows),
        "reference_tokens": sum(row["reference_tokens"] for row in scored),
        "median_gap": round(float(np.median(gaps)), DECIMALS) if len(gaps) else None,
        **within,
    }


def _score_block(
    records: Sequence[Mapping[str, Any]],
    sampled: Mapping[str, Mapping[str, Any]],
    generator: Generator,
    config: ReferenceLossConfig,
) -> list[dict[str, Any]]:
    template = generator.template
    assert template is not None
    (marker,) = template.encode([Prompt(MARKER, (MARKER,))])
    shard = _tokenized(records, template)
    passages: list[Passage] = []
    takers: list[tuple[_Example, _Take]] = []
    longest = generator.context_length

    def ask(example: _Example, passage: Passage, take: _Take) -> None:
        """What is too long is no fault of the example: its value stays null."""
        if longest is None or len(passage) <= longest:
            passages.append(passage)
            takers.append((example, take))

    for example, record in zip(shard, records, strict=True):
        if example.row["status"] != OK:
            continue
        whole = Passage((), example.prompt + example.reference)
        if longest is not None and len(whole) > longest:
            reason = f"prompt and reference of {len(whole)} tokens exceed the context of {longest}"
            example.row |= {"status": PROMPT_TOO_LONG, "reason": reason}
            continue
        ask(example, whole, _take_prompted(generator))
        ask(example, Passage(tuple(marker), example.reference), _take("bare_logprob"))
        if config.plain:
            asked = user_turn(record["instruction"], record["input"]) + "\n"
            (plain,) = template.encode([template.plain(asked)])
            ask(example, Passage(tuple(plain), example.reference), _take("plain_logprob"))
            ask(example, Passage((), example.reference), _take("plain_bare_logprob"))
        kept = config.model == "backbone"
        for place, passage in _unscored(example, sampled.get(record["example_id"]), template, kept).items():
            ask(example, passage, _take_answer(place))
    for place, scores in generator.score(passages):
        example, take = takers[place]
        if not isinstance(scores, AnswerError):
            take(example, scores)
        elif example.row["status"] != FAILED:
            example.row |= {"status": scores.status, "reason": scores.reason}
    return [_finished(example) for example in shard]


def _tokenized(records: Sequence[Mapping[str, Any]], template: PromptTemplate) -> list[_Example]:
    """Prompt and reference of each example as training has them; the reference up to the token that ends it."""
    shard, pairs, rendered = [], [], []
    for record in records:
        example = _Example({"example_id": record["example_id"], "status": OK, "reason": None})
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


def _unscored(
    example: _Example, sampled: Mapping[str, Any] | None, template: PromptTemplate, kept: bool
) -> dict[int, Passage]:
    """The sampled answers without a log-probability, as passages by their place; the others' are noted."""
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


def _take(name: str) -> _Take:
    def take(example: _Example, scores: TokenScores) -> None:
        example.row[name] = _mean(scores.logprobs)

    return take


def _take_answer(place: int) -> _Take:
    def take(example: _Example, scores: TokenScores) -> None:
        example.answer_logprobs[place] = _mean(scores.logprobs)

    return take


def _take_prompted(generator: Generator) -> _Take:
    def take(example: _Example, scores: TokenScores) -> None:
        count = len(example.reference)
        own = scores.logprobs[-count:] if count else scores.logprobs[:0]
        example.row |= {"reference_logprob": _mean(own), "sequence_logprob": _mean(scores.logprobs)}
        if scores.entropies is not None and count:
            vocabulary = len(generator.tokenizer)
            certainty = np.maximum(0.0, 1.0 - scores.entropies[-count:] / np.log(vocabulary))
            example.row["confident_surprise"] = _mean(certainty / (1.0 + np.exp(own)))

    return take


def _finished(example: _Example) -> dict[str, Any]:
    if example.row["status"] != OK:
        return {name: example.row.get(name) for name in ("example_id", "status", "reason", "reference_tokens")}
    told = [value for _, value in sorted(example.answer_logprobs.items())]
    known = [value for value in told if value is not None]
    if known and len(known) == len(told):
        example.row["answer_logprob"] = round(sum(known) / len(known), DECIMALS)
    return example.row


def _mean(values: np.ndarray) -> float | None:
    """Null where there is no token, or a model in half precision gave no number."""
    mean = float(values.mean()) if len(values) else np.nan
    return round(mean, DECIMALS) if np.isfinite(mean) else None


def _require_few_failures(rows: Sequence[Mapping[str, Any]], total: int, most: float) -> None:
    reasons = [row["reason"] for row in rows if row["status"] == FAILED]
    if len(reasons) > most * total:
        first = "; ".join(list(dict.fromkeys(reasons))[:3])
        raise ShardFault(
            f"{len(reasons)} of {total} references could not be scored, more than reference_losses.max_failed_share = "
            f"{most:g} allows. First reasons: {first}"
        )
