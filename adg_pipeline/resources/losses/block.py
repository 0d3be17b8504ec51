"""Some examples of a shard: the passages that tell what isn't known of them yet, and the rows that their scores make."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.models.templates import Prompt
from adg_pipeline.resources.generators.base import AnswerError, Generator, Passage, T, TokenScores
from adg_pipeline.resources.generators.schema import FAILED, OK, PROMPT_TOO_LONG
from adg_pipeline.resources.losses.examples import Example, tokenized, unscored_answers
from adg_pipeline.resources.losses.noise import under_noise
from adg_pipeline.resources.losses.ranker import Ranker
from adg_pipeline.resources.losses.states import weighted_states
from adg_pipeline.settings.sections import ReferenceLossConfig

MARKER = (
    "### Response:\n"  # opens a response in the Alpaca template: what IFD scores an answer after when it stands alone
)
DECIMALS = 4

_Take = Callable[[Example, TokenScores], None]


class Block:
    """Some examples of a shard, and what of them isn't known yet."""

    def __init__(
        self,
        records: Sequence[Mapping[str, Any]],
        sampled: Mapping[str, Mapping[str, Any]],
        before: Mapping[str, Mapping[str, Any]],
        generator: Generator,
        config: ReferenceLossConfig,
    ) -> None:
        assert generator.template is not None
        self._generator, self._config, self._template = generator, config, generator.template
        self._records, self._sampled = records, sampled
        self._examples = tokenized(records, self._template)
        longest = generator.context_length
        for example in self._examples:
            known = before.get(example.row["example_id"])
            if example.row["status"] == OK and known is not None and known["status"] == OK:
                example.row |= {name: value for name, value in known.items() if value is not None}
            if longest is not None and len(example.whole) > longest:
                reason = f"prompt and reference of {len(example.whole)} tokens exceed the context of {longest}"
                example.row |= {"status": PROMPT_TOO_LONG, "reason": reason}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row per example."""
        return [_finished(example) for example in self._examples]

    def score(self, ranker: Ranker | None) -> Iterator[float]:
        """The share of all passes that is done, after each: what isn't known yet, then what settings ask for besides."""
        copies = self._config.noisy_copies
        passages, takers = [], []
        for example, passage, take in self._to_score():
            if self._fits(passage):
                passages.append(passage)
                takers.append((example, take))
        of_states = list(self._waiting("state")) if self._config.states else []
        under_noise_too = list(self._waiting("noisy_ifd")) if copies else []
        done, all_of_them = 0, len(passages) + len(of_states) + 2 * copies * len(under_noise_too)
        for place, scores in self._generator.score(passages, self._config.batch_size) if passages else ():
            example, take = takers[place]
            if not isinstance(scores, AnswerError):
                take(example, scores)
            elif example.row["status"] != FAILED:
                example.row |= {"status": scores.status, "reason": scores.reason}
            done += 1
            yield done / all_of_them
        asked = [(example, example.whole) for example, _ in of_states]
        for example, state in self._computed(asked, weighted_states):
            example.row["state"] = state
            done += 1
            yield done / all_of_them
        asked = [(example, self._plain(example, record)) for example, record in under_noise_too]
        for example, columns in self._computed(asked, under_noise(copies)):
            example.row |= columns
            done += 2 * copies
            yield done / all_of_them
        if ranker is not None:
            self._rank(ranker)
        yield 1.0

    def _to_score(self) -> Iterator[tuple[Example, Passage, _Take]]:
        """The passages that tell what isn't known yet, and where their scores go."""
        (marker,) = self._template.encode([Prompt(MARKER, (MARKER,))])
        own_answers = self._config.model == "backbone"
        for example, _ in self._waiting("reference_logprob"):
            yield example, example.whole, _take_prompted(self._generator)
        for example, _ in self._waiting("bare_logprob"):
            yield example, Passage(tuple(marker), example.reference), _take("bare_logprob")
        if self._config.plain:
            for example, record in self._waiting("plain_logprob"):
                yield example, self._plain(example, record), _take("plain_logprob")
            for example, _ in self._waiting("plain_bare_logprob"):
                yield example, Passage((), example.reference), _take("plain_bare_logprob")
        for example, record in self._waiting("answer_logprob"):
            sampled = self._sampled.get(record["example_id"])
            for place, passage in unscored_answers(example, sampled, self._template, own_answers).items():
                yield example, passage, _take_answer(place)

    def _waiting(self, column: str) -> Iterator[tuple[Example, Mapping[str, Any]]]:
        """Examples that have no value there yet."""
        for example, record in zip(self._examples, self._records, strict=True):
            if example.row["status"] == OK and example.row.get(column) is None:
                yield example, record

    def _fits(self, passage: Passage) -> bool:
        """What is too long is no fault of the example: its value stays null."""
        return self._generator.context_length is None or len(passage) <= self._generator.context_length

    def _plain(self, example: Example, record: Mapping[str, Any]) -> Passage:
        asked = user_turn(record["instruction"], record["input"]) + "\n"
        (plain,) = self._template.encode([self._template.plain(asked)])
        return Passage(tuple(plain), example.reference)

    def _computed(
        self, asked: Sequence[tuple[Example, Passage]], work: Callable[[Any, Sequence[Passage]], list[T]]
    ) -> Iterator[tuple[Example, T]]:
        """What the engine doesn't tell of those that fit and haven't failed meanwhile, as it comes."""
        fitting = [(one, passage) for one, passage in asked if self._fits(passage) and one.row["status"] == OK]
        passages = [passage for _, passage in fitting]
        for place, found in self._generator.forward(passages, self._config.batch_size, work) if passages else ():
            yield fitting[place][0], found

    def _rank(self, ranker: Ranker) -> None:
        waiting = list(self._waiting("ranker_score"))
        pairs = [(user_turn(record["instruction"], record["input"]), record["output"]) for _, record in waiting]
        for (example, _), score in zip(waiting, ranker.scores(pairs, self._config.batch_size), strict=True):
            example.row["ranker_score"] = score


def _take(name: str) -> _Take:
    def take(example: Example, scores: TokenScores) -> None:
        example.row[name] = _mean(scores.logprobs)

    return take


def _take_answer(place: int) -> _Take:
    def take(example: Example, scores: TokenScores) -> None:
        example.answer_logprobs[place] = _mean(scores.logprobs)

    return take


def _take_prompted(generator: Generator) -> _Take:
    def take(example: Example, scores: TokenScores) -> None:
        count = len(example.reference)
        own = scores.logprobs[-count:] if count else scores.logprobs[:0]
        example.row |= {"reference_logprob": _mean(own), "sequence_logprob": _mean(scores.logprobs)}
        if scores.entropies is not None and count:
            vocabulary = len(generator.tokenizer)
            certainty = np.maximum(0.0, 1.0 - scores.entropies[-count:] / np.log(vocabulary))
            example.row["confident_surprise"] = _mean(certainty / (1.0 + np.exp(own)))

    return take


def _finished(example: Example) -> dict[str, Any]:
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
