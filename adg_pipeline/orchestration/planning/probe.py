"""What cheaper settings would do, from the answers of a sample that were had with the full one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from adg_pipeline.algorithms.cheaper import (
    FEWEST,
    Adjusted,
    Scorer,
    Splits,
    overlap,
    overlap_with_fewer,
    paper_score,
)
from adg_pipeline.algorithms.costs import (
    ANSWERS,
    INSTRUCTIONS,
    REFERENCES,
    SAMPLING,
    STAGES,
    Planned,
    Profile,
    Work,
    planned,
    total_seconds,
)
from adg_pipeline.algorithms.length_control import length_residual
from adg_pipeline.errors import SettingsError
from adg_pipeline.orchestration.planning.embedding import embed
from adg_pipeline.orchestration.planning.sample import Measured
from adg_pipeline.orchestration.planning.watch import Watch
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import EmbeddingConfig, SelectionConfig

CUTS = (64, 128)
FEWER = (2, 3, 4)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """A setting beside the full one.

    agreement: stability-adjusted, see `adg_pipeline.algorithms.cheaper`; None where the full setting doesn't agree with
    itself. overlap: of the pick with the full setting's, from the same answers. tokens, seconds: of the whole pool's shard
    stages. saves: share of the full setting's seconds.
    """

    setting: str
    agreement: Adjusted | None
    overlap: float
    tokens: float | None
    seconds: float | None
    saves: float | None


@dataclass(frozen=True)
class Probed:
    """examples: looked at, of a pool of so many. share: of them that is picked, as the budget does of the pool. ceiling: what
    the full setting agrees with itself on other answers. stability: overlap of its pick without one answer."""

    examples: int
    pool: int
    share: float
    ceiling: float
    stability: float
    verdicts: list[Verdict]
    left_out: list[str]


def require_parts(settings: Settings) -> None:
    """Raise SettingsError where the answers are too few to be parted in two."""
    samples = settings.generations.samples
    if samples < FEWEST:
        raise SettingsError(
            f"generations.samples is {samples}: a probe parts the answers in two that diverge, so it needs {FEWEST} and more"
        )


def probe(measured: Measured, settings: Settings, other: EmbeddingConfig | None, pool: int, say: Say) -> Probed:
    """Hold cheaper settings against the full one. other: another embedder to try, opened here. pool: examples in all."""
    generation, config = settings.generations, settings.selected_subset
    answered, profile = measured.answered, measured.profile
    lengths = np.array([[one or 0 for one in row] for row in answered["output_tokens"].to_list()], dtype=np.float64)
    score = _scorer(config, lengths)
    share = min(1.0, config.budget / max(1, pool))
    held = Splits(measured.cosines, score, share)
    work = Work(
        pool, dict.fromkeys(STAGES, pool), pool * generation.samples, generation.samples, generation.max_new_tokens
    )
    full = _seconds(planned(profile, work))
    left_out: list[str] = []

    def verdict(setting: str, agreement: Adjusted | None, common: float, of: Profile, to_do: Work) -> Verdict:
        stages = planned(of, to_do)
        tokens = next((one.tokens for one in stages if one.stage == SAMPLING), None)
        seconds = _seconds(stages)
        saves = 1 - seconds / full if full and seconds is not None else None
        return Verdict(setting, agreement, common, tokens, seconds, saves)

    def verdicts() -> Iterator[Verdict]:
        yield verdict("as set", Adjusted(1.0, 1.0, 1.0), 1.0, profile, work)
        for count in FEWER:
            if count < generation.samples:
                common = overlap_with_fewer(measured.cosines, score, count, share)
                fewer = work.with_samples(count)
                yield verdict(f"generations.samples={count}", held.with_answers(count), common, profile, fewer)
        for longest, texts in measured.cut.items():
            if (lengths > longest).any():
                cosines = embed(settings, settings.embeddings, _with(answered, texts), Watch(), say).cosines
                short = _scorer(config, np.minimum(lengths, longest))
                common = overlap(score(measured.cosines), short(cosines), share)
                shorter = replace(work, max_new_tokens=longest)
                setting = f"generations.max_new_tokens={longest}"
                yield verdict(setting, held.against(cosines, short), common, profile, shorter)
            else:
                left_out.append(f"generations.max_new_tokens={longest}: no answer is longer")
        if other is not None:
            watch = Watch()
            cosines = embed(settings, other, answered, watch, say).cosines
            common = overlap(score(measured.cosines), score(cosines), share)
            rates = {**profile.rates, **{stage: watch.rates[stage] for stage in (ANSWERS, INSTRUCTIONS)}}
            setting = f"embeddings.embedder={other.embedder}"
            yield verdict(setting, held.against(cosines), common, profile.model_copy(update={"rates": rates}), work)

    found = list(verdicts())
    stability = overlap_with_fewer(measured.cosines, score, generation.samples - 1, share)
    return Probed(answered.height, pool, share, held.own, stability, found, left_out)


def _seconds(stages: Sequence[Planned]) -> float | None:
    """Of all stages that a profile without references has; None where one of them isn't known."""
    known = [stage for stage in stages if stage.stage != REFERENCES or stage.seconds is not None]
    return None if any(stage.seconds is None for stage in known) else total_seconds(known)


def _scorer(config: SelectionConfig, lengths: np.ndarray) -> Scorer:
    """The paper's score as the arm ranks by it. lengths: (N, K) tokens of the answers."""
    paper = paper_score(config.weight)
    if not config.length_control:
        return paper
    means = lengths.mean(axis=1)
    return lambda cosines: length_residual(paper(cosines), means)


def _with(answered: pl.DataFrame, texts: list[list[str]]) -> pl.DataFrame:
    return answered.with_columns(pl.Series("answers", texts, dtype=pl.List(pl.String)))
