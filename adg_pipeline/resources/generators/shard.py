"""The answers of one shard: K per instruction, none of them paid for twice."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from adg_pipeline.algorithms.prompts import PromptError
from adg_pipeline.algorithms.seeds import request_id, sample_seed
from adg_pipeline.errors import EndAsked, PipelineError
from adg_pipeline.host.signals import nothing_more
from adg_pipeline.models.templates import Prompt
from adg_pipeline.resources.generators.base import Answer, AnswerError, AnswerRequest, Generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.paid import answers_of
from adg_pipeline.resources.generators.schema import FAILED, GENERATIONS_SCHEMA, OK, PROMPT_TOO_LONG
from adg_pipeline.settings.sections import GenerationConfig

_UNRENDERED = Prompt("", ("",))
_SAMPLING = ("temperature", "top_p", "top_k", "max_new_tokens", "dtype")


@dataclass
class GenerationCounts:
    """What came of a shard's instructions (`ok`, `prompt_too_long`, `failed`) and of its requests.

    asked: requests put to the engine now; reused: answers paid for earlier. empty_answers and output_tokens are over
    all answers of the table, asked_output_tokens over those paid for now. reasons: failed instructions by first reason.
    misread: instructions that spell a control token and were read, as far as is known, as if it were one.
    """

    examples: int = 0
    ok: int = 0
    prompt_too_long: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    reused: int = 0
    misread: int = 0
    empty_answers: int = 0
    output_tokens: int = 0
    asked_output_tokens: int = 0

    def facts(self) -> dict[str, Any]:
        """The counts as plain JSON values."""
        return asdict(self)


class TooManyFailures(PipelineError):
    """More of a shard's instructions failed than `max_failed_share` allows. What was had is in the journal."""


@dataclass
class _Example:
    """One instruction on its way: its requests, and why it can't be answered if so."""

    example_id: str
    prompt: Prompt = _UNRENDERED
    prompt_tokens: int | None = None
    requests: list[AnswerRequest] = field(default_factory=list)
    error: AnswerError | None = None


def generate_shard(
    examples: pa.Table,
    generator: Generator,
    config: GenerationConfig,
    journal: AnswerJournal,
    previous: pa.Table | None = None,
    elsewhere: Callable[[Collection[str]], Mapping[str, Answer]] = lambda requests: {},
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pa.Table, GenerationCounts]:
    """Sample K answers for each instruction of a shard.

    Args:
        examples: a raw pool table.
        generator: an open generator.
        journal: an open journal; every answer goes there as it comes, and answers found there aren't asked for again.
        previous: the shard's earlier generations table; answers to the same requests are taken from it. So a larger K
            asks for the new samples only.
        elsewhere: gives answers to those of the requests (ids) that were paid for in another shard.
        progress: called with (answers had, answers asked for) after each answer.

    Returns:
        A table of `GENERATIONS_SCHEMA`, in the order of ``examples``, and the counts.

    Raises:
        GeneratorError: the context leaves no room for any prompt.
        TooManyFailures: as soon as more instructions have failed than ``config.max_failed_share`` allows.
        EndAsked: the run is to end; every answer that was under way is in the journal.
    """
    generator.require_room()
    shard = _prepare(examples.to_pylist(), generator, config)
    paid = {} if previous is None else answers_of(previous)
    answers: dict[str, Answer] = {}
    pending: dict[str, AnswerRequest] = {}
    for request in (request for example in shard for request in example.requests):
        known = journal.get(request.request_id) or paid.get(request.request_id)
        if known is None:
            pending[request.request_id] = request
        else:
            answers[request.request_id] = known
    for name, known in elsewhere(pending.keys()).items() if pending else ():
        answers[name] = known
        del pending[name]
    reused = len(answers)
    _ask(list(pending.values()), shard, generator, config, journal, answers, progress)
    rows = [_row(example, answers) for example in shard]
    counts = _count(rows)
    counts.asked, counts.reused = len(pending), reused
    counts.misread = sum(example.prompt.misread or example.example_id in generator.misread for example in shard)
    counts.asked_output_tokens = sum(answers[name].output_tokens or 0 for name in pending if name in answers)
    return pa.Table.from_pylist(rows, schema=GENERATIONS_SCHEMA), counts


def _prepare(records: Sequence[Mapping[str, Any]], generator: Generator, config: GenerationConfig) -> list[_Example]:
    """Render and count every prompt, and make the requests of those that leave room for an answer."""
    shard = [_Example(record["example_id"]) for record in records]
    if len({example.example_id for example in shard}) < len(shard):
        raise ValueError("example ids repeat within the shard: its raw pool table is damaged")
    for example, record in zip(shard, records, strict=True):
        try:
            example.prompt = generator.render(
                record["instruction"], record["input"], record["messages"], record.get("tools") or ""
            )
        except PromptError as error:
            example.error = AnswerError(str(error))
    rendered = [example for example in shard if example.error is None]
    prompts = [example.prompt for example in rendered]
    lengths, written = generator.count_tokens(prompts), generator.written(prompts)
    identity = generator.identity
    sampling = {**{name: getattr(config, name) for name in _SAMPLING}, **generator.endings}
    for place, example in enumerate(rendered):
        example.prompt_tokens = lengths[place] if lengths is not None else None
        example.error = _no_room(example.prompt_tokens, generator.context_length, config.max_new_tokens)
        if example.error is None:
            for index in range(config.samples):
                seed = sample_seed(config.seed, example.example_id, index)
                name = request_id(identity, written[place], sampling, seed)
                example.requests.append(AnswerRequest(example.example_id, index, example.prompt, seed, name))
    return shard


def _no_room(prompt_tokens: int | None, context_length: int | None, max_new_tokens: int) -> AnswerError | None:
    if prompt_tokens is None or context_length is None or prompt_tokens + max_new_tokens <= context_length:
        return None
    return AnswerError(
        f"prompt of {prompt_tokens} tokens and {max_new_tokens} new ones exceed the context of {context_length}",
        status=PROMPT_TOO_LONG,
    )


def _ask(
    pending: Sequence[AnswerRequest],
    shard: Sequence[_Example],
    generator: Generator,
    config: GenerationConfig,
    journal: AnswerJournal,
    answers: dict[str, Answer],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Put the requests to the engine. Answers go into the journal and ``answers``, errors to their example."""
    examples = {example.example_id: example for example in shard}
    # Checked at every failure: an engine that is down shouldn't be asked to the end.
    _check_failures(shard, config)
    if progress:
        progress(0, len(pending))  # the rate is that of answers, not of what came before them
    done = 0
    for done, (request, outcome) in enumerate(generator.generate(pending), start=1):
        if isinstance(outcome, Answer):
            journal.append(request.request_id, outcome)
            answers[request.request_id] = outcome
        else:
            example = examples[request.example_id]
            if example.error is None:
                example.error = outcome
                _check_failures(shard, config)
        if done % (config.batch_size * config.samples) == 0:
            journal.flush()
        if progress:
            progress(done, len(pending))
    journal.flush()
    if done < len(pending) and nothing_more():
        raise EndAsked(f"asked to end with {done:,} of {len(pending):,} answers had, which are kept")


def _check_failures(shard: Sequence[_Example], config: GenerationConfig) -> None:
    reasons = [example.error.reason for example in shard if example.error and example.error.status == FAILED]
    if len(reasons) <= config.max_failed_share * len(shard):
        return
    first = "; ".join(list(dict.fromkeys(reasons))[:3])
    raise TooManyFailures(
        f"{len(reasons)} of {len(shard)} instructions failed so far, more than max_failed_share = "
        f"{config.max_failed_share:g} allows. First reasons: {first}. Mend the cause, or raise `max_failed_share`, "
        "and run the shard again: `adg run --retry` (answers that were had are kept)."
    )


def _row(example: _Example, answers: Mapping[str, Answer]) -> dict[str, Any]:
    """One row of the table: all K answers, or what there is of them and the reason."""
    had = [(request, answers[request.request_id]) for request in example.requests if request.request_id in answers]
    if example.error and example.error.status == PROMPT_TOO_LONG:
        had = []
    prompt_tokens = example.prompt_tokens
    if prompt_tokens is None:
        prompt_tokens = next((answer.prompt_tokens for _, answer in had), None)
    return {
        "example_id": example.example_id,
        "status": example.error.status if example.error else OK,
        "reason": example.error.reason if example.error else None,
        "prompt_tokens": prompt_tokens,
        "answers": [answer.text for _, answer in had],
        "finish_reasons": [answer.finish_reason for _, answer in had],
        "output_tokens": [answer.output_tokens for _, answer in had],
        "output_logprobs": [_rounded(answer.logprob) for _, answer in had],
        "seeds": [request.seed for request, _ in had],
        "request_ids": [request.request_id for request, _ in had],
    }


def _rounded(logprob: float | None) -> float | None:
    """As coarse as float32 is sure of, so that stored values don't depend on what shared a batch."""
    return None if logprob is None or not math.isfinite(logprob) else round(logprob, 4)


def _count(rows: Sequence[Mapping[str, Any]]) -> GenerationCounts:
    statuses = Counter(row["status"] for row in rows)
    return GenerationCounts(
        examples=len(rows),
        ok=statuses[OK],
        prompt_too_long=statuses[PROMPT_TOO_LONG],
        failed=statuses[FAILED],
        reasons=dict(Counter(row["reason"] for row in rows if row["status"] == FAILED).most_common()),
        empty_answers=sum(not text.strip() for row in rows for text in row["answers"]),
        output_tokens=sum(tokens or 0 for row in rows for tokens in row["output_tokens"]),
    )
