"""What computing a pool will take, from rates that were measured on a part of it: plain arithmetic.

Sampling is paid by the token: the mean over examples of what their K answers take, each at most `max_new_tokens` long. The
other stages are paid by the text or by the token that they read. Opening a model is paid once a run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

SAMPLING, REFERENCES = "generations", "reference_losses"
ANSWERS, INSTRUCTIONS, SCORES = "answer_embeddings", "instruction_embeddings", "divergence_scores"
TRAINING = "finetuned_checkpoint"
#: Of shards, in the data's order.
STAGES = (INSTRUCTIONS, SAMPLING, REFERENCES, ANSWERS, SCORES)
Z95 = 1.96


class Rate(BaseModel):
    """How fast a stage is. Made once the model is open; ``open_seconds`` is what opening it took."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_second: float = Field(gt=0, description="Units of the stage done in a second.")
    open_seconds: float = Field(default=0.0, ge=0, description="Seconds until the model is open, once a run.")
    shard_seconds: float = Field(
        default=0.0, ge=0, description="Seconds that a shard takes beside its units: to be stored."
    )
    hardware: str = Field(default="not known", description="What it was measured on.")
    gpus: int = Field(default=0, ge=0, description="GPUs that the stage takes; 0 on a processor or a server.")


class Profile(BaseModel):
    """What was measured: rates by stage, how long answers are, and what a row takes on the disk.

    Units of the rates: sampled tokens (generations), tokens of prompt and reference (reference_losses), tokens of answers
    (answer_embeddings), instructions (instruction_embeddings), answers (divergence_scores), trained tokens
    (finetuned_checkpoint).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured: str = Field(description="On what it was measured, in words.")
    examples: int = Field(ge=1, description="Examples that it was measured on.")
    max_new_tokens: int = Field(ge=1, description="Longest answer at that time, in tokens: longer ones aren't known.")
    answer_tokens: list[list[int]] = Field(
        description="Tokens of the answers to each measured example; empty lists where the engine doesn't tell."
    )
    prompt_tokens: float = Field(ge=0, description="Mean tokens of a prompt.")
    reference_tokens: float | None = Field(default=None, ge=0, description="Mean tokens of a reference.")
    unanswerable_share: float = Field(default=0.0, ge=0, le=1, description="Share of prompts too long for the context.")
    rates: dict[str, Rate] = Field(description="Rate of each stage that was measured.")
    bytes_per_unit: dict[str, float] = Field(
        default={}, description="Bytes on the disk per answer (generations, answer_embeddings) or example (the others)."
    )

    @property
    def lengths(self) -> list[list[int]]:
        """Of examples whose answers' tokens are known."""
        return [of_one for of_one in self.answer_tokens if of_one]

    def tokens_per_answer(self, longest: int | None = None) -> float:
        """Mean tokens of an answer if none were longer; as measured if not given."""
        most = self.max_new_tokens if longest is None else longest
        return float(np.mean([np.minimum(of_one, most).mean() for of_one in self.lengths])) if self.lengths else 0.0

    def tokens_spread(self, pool: int) -> float:
        """Half the 95% interval of `tokens_per_answer` as a share of it: of a sample of a pool of so many examples."""
        means = np.array([np.mean(of_one) for of_one in self.lengths])
        if len(means) < 2 or means.mean() == 0:
            return 0.0
        not_seen = max(0.0, 1.0 - len(means) / max(pool, len(means)))  # what is measured is known
        return float(Z95 * means.std(ddof=1) / sqrt(len(means)) * sqrt(not_seen) / means.mean())


@dataclass(frozen=True)
class Work:
    """What is to be computed: examples by stage, and the answers that are to be sampled for them.

    pool: examples in all. shards: of each stage. budget: examples to train on, 0 for no training. budget_tokens: the same in
    tokens, where it is given so. epochs: passes over them.
    trainings: how many such.
    """

    pool: int
    examples: Mapping[str, int]
    answers: int
    samples: int
    max_new_tokens: int
    shards: Mapping[str, int] = field(default_factory=dict)
    budget: int = 0
    budget_tokens: int | None = None
    epochs: float = 0.0
    trainings: int = 1

    def with_samples(self, samples: int) -> "Work":
        """The same with another K, nothing of it sampled yet."""
        return replace(self, samples=samples, answers=self.examples.get(SAMPLING, 0) * samples)


@dataclass(frozen=True)
class Planned:
    """A stage: units of work in words, tokens, seconds (opening included) and bytes; None where nothing tells.

    spread: half the 95% interval of tokens and seconds as a share, of what a sample can't know of the pool's answers.
    """

    stage: str
    what: str
    tokens: float | None
    seconds: float | None
    bytes: float | None = None
    gpus: int = 0
    spread: float = 0.0

    @property
    def gpu_hours(self) -> float | None:
        return None if self.seconds is None else self.gpus * self.seconds / 3600


def planned(profile: Profile, work: Work) -> list[Planned]:
    """A row for each stage that has something to do, in the data's order."""
    return list(_stages(profile, work))


@dataclass(frozen=True)
class Prices:
    """per_hour: of a GPU, or of the machine where a stage takes none. per_million: of a server's tokens, read and written."""

    per_hour: float | None = None
    per_million: tuple[float, float] | None = None

    def of(self, stage: Planned, profile: Profile, work: Work) -> float | None:
        """What a stage costs; None where nothing tells."""
        if stage.stage == SAMPLING and self.per_million is not None:
            read, written = self.per_million
            # Every answer is a request of its own, which pays for the prompt again.
            prompts = work.answers * (1 - profile.unanswerable_share) * profile.prompt_tokens
            return None if stage.tokens is None else (prompts * read + stage.tokens * written) / 1e6
        if self.per_hour is None or stage.seconds is None:
            return None
        return stage.seconds / 3600 * max(1, stage.gpus) * self.per_hour


def total_seconds(stages: Sequence[Planned]) -> float:
    """Of the stages that are known."""
    return sum(stage.seconds or 0.0 for stage in stages)


def _stages(profile: Profile, work: Work) -> Iterator[Planned]:
    answered, spread = 1.0 - profile.unanswerable_share, profile.tokens_spread(work.pool)
    per_answer = profile.tokens_per_answer(work.max_new_tokens)
    if instructions := work.examples.get(INSTRUCTIONS, 0):
        yield _stage(profile, work, INSTRUCTIONS, f"{instructions:,} instructions", instructions, of=instructions)
    if work.answers:
        sampled = work.answers * answered * per_answer
        what = f"{work.answers:,} answers to {work.examples[SAMPLING]:,} examples"
        tokens = sampled if per_answer else None
        yield _stage(profile, work, SAMPLING, what, tokens, tokens, of=work.answers, spread=spread)
    if references := work.examples.get(REFERENCES, 0):
        whole = profile.prompt_tokens + (profile.reference_tokens or 0.0)
        read = references * whole if profile.reference_tokens is not None else None
        yield _stage(profile, work, REFERENCES, f"{references:,} references", read, read, of=references)
    if embedded := work.examples.get(ANSWERS, 0) * work.samples:
        read = embedded * answered * per_answer if per_answer else None
        yield _stage(profile, work, ANSWERS, f"{embedded:,} answers", read, read, of=embedded, spread=spread)
    if scored := work.examples.get(SCORES, 0):
        yield _stage(profile, work, SCORES, f"{scored:,} examples", scored * work.samples, of=scored)
    if work.budget:
        each = profile.prompt_tokens + (profile.reference_tokens or 0.0)
        once = work.budget * each if profile.reference_tokens is not None else None
        if work.budget_tokens is not None:
            once = min(work.budget_tokens, work.pool * each or work.budget_tokens)
        trained = None if once is None else once * work.epochs * work.trainings
        many = f"{work.trainings} × " if work.trainings > 1 else ""
        subset = f"{work.budget:,} examples" if work.budget_tokens is None else f"{work.budget_tokens:,} tokens"
        what = f"{many}{subset}, {work.epochs:g} epochs"
        yield _stage(profile, work, TRAINING, what, trained, trained, of=work.trainings)


def _stage(
    profile: Profile,
    work: Work,
    stage: str,
    what: str,
    units: float | None,
    tokens: float | None = None,
    *,
    of: int,
    spread: float = 0.0,
) -> Planned:
    rate, each = profile.rates.get(stage), profile.bytes_per_unit.get(stage)
    seconds = None
    if rate is not None and units is not None:
        seconds = units / rate.per_second + work.shards.get(stage, 0) * rate.shard_seconds + rate.open_seconds
    on_disk = None if each is None else each * of
    return Planned(stage, what, tokens, seconds, on_disk, 0 if rate is None else rate.gpus, spread)
