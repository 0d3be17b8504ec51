"""How much likelier each reference gets when the backbone is tuned on others: what is taught again and again gains."""

from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from adg_pipeline.algorithms.draws import uniform_draws
from adg_pipeline.resources.generators.base import Passage
from adg_pipeline.resources.generators.scoring import in_batches, token_scores
from adg_pipeline.resources.trainer.examples import IGNORED, tokenize_examples
from adg_pipeline.settings.sections import TrainingConfig
from benchmarks.truth import subsets
from benchmarks.truth.signals import Signals, World
from benchmarks.truth.tuning import tune

_TEXTS = ("example_id", "instruction", "input", "output")
BUDGET = 0.1  # of each half
ROUNDS = ("gain_1", "gain_2")  # columns of the pool, and the arms of which the next round tunes on a pick


def with_gains(world: World, pool: Signals, training: TrainingConfig, seed: int) -> Signals:
    """The pool with a column for each round: what tuning on a pick from the other half adds to the mean log-probability of a
    reference's tokens. The first round tunes on grounded ADG's picks, the next on those that gained most in the one before.

    A reference is never scored by a model that was tuned on it. What the halves teach alike gains, whoever gave the answer;
    a mistake gains where it is repeated more often than the right answer.
    """
    half = uniform_draws(pool.frame["example_id"], seed) < 0.5
    sides = (half, ~half)
    arm = "adg_grounded"
    for column in ROUNDS:
        gain = np.zeros(len(half))
        for mine, others in (sides, sides[::-1]):
            model = _tuned(world, Signals(pool.frame.filter(others), pool.vectors[others]), arm, training, seed)
            before = pool.frame.filter(mine)["reference_logprob"].to_numpy()
            gain[mine] = _logprobs(model, world, pool.frame.filter(mine)) - before
        pool = Signals(pool.frame.with_columns(pl.Series(column, gain)), pool.vectors)
        arm = column
    return pool


def _tuned(world: World, part: Signals, arm: str, training: TrainingConfig, seed: int) -> Any:
    chosen = subsets.select(arm, part, max(1, round(BUDGET * len(part.vectors))), seed)
    model = AutoModelForCausalLM.from_pretrained(world.backbone, dtype=torch.float32, use_safetensors=True)
    rows = part.frame.filter(pl.col("example_id").is_in(chosen)).select(_TEXTS).to_dicts()
    tune(model, world.template, rows, training.model_copy(update={"seed": seed}))
    return model


def _logprobs(model: Any, world: World, frame: pl.DataFrame) -> NDArray[np.float64]:
    """(N,) mean log-probabilities of the references' tokens given their prompts."""
    examples = tokenize_examples(frame.select(_TEXTS).to_dicts(), world.template, max_length=2048)
    passages = []
    for ids, labels in zip(examples.input_ids, examples.labels, strict=True):
        learnt = sum(label != IGNORED for label in labels)
        passages.append(Passage(tuple(ids[:-learnt]), tuple(ids[-learnt:])))
    means = np.zeros(len(passages))
    for place, scores in in_batches(model, passages, 32, token_scores):
        means[place] = scores.logprobs.mean()
    return means
