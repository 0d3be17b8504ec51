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

BUDGET = 0.1  # of each half


def with_gain(world: World, pool: Signals, training: TrainingConfig, seed: int) -> Signals:
    """The pool with a column `gain`: of each half, what tuning on grounded ADG's pick from the other half adds to the mean
    log-probability of a reference's tokens.
    """
    half = uniform_draws(pool.frame["example_id"], seed) < 0.5
    gain = np.zeros(len(half))
    for mine in (half, ~half):
        others = Signals(pool.frame.filter(~mine), pool.vectors[~mine])
        chosen = subsets.select("adg_grounded", others, max(1, round(BUDGET * len(others.vectors))), seed)
        model = AutoModelForCausalLM.from_pretrained(world.backbone, dtype=torch.float32, use_safetensors=True)
        rows = others.frame.filter(pl.col("example_id").is_in(chosen)).to_dicts()
        tune(model, world.template, rows, training.model_copy(update={"seed": seed}))
        before = pool.frame.filter(mine)["reference_logprob"].to_numpy()
        gain[mine] = _logprobs(model, world, pool.frame.filter(mine)) - before
    return Signals(pool.frame.with_columns(gain=pl.Series(gain)), pool.vectors)


def _logprobs(model: Any, world: World, frame: pl.DataFrame) -> NDArray[np.float64]:
    """(N,) mean log-probabilities of the references' tokens given their prompts."""
    columns = ("example_id", "instruction", "input", "output")
    examples = tokenize_examples(frame.select(columns).to_dicts(), world.template, max_length=2048)
    passages = []
    for ids, labels in zip(examples.input_ids, examples.labels, strict=True):
        learnt = sum(label != IGNORED for label in labels)
        passages.append(Passage(tuple(ids[:-learnt]), tuple(ids[-learnt:])))
    means = np.zeros(len(passages))
    for place, scores in in_batches(model, passages, 32, token_scores):
        means[place] = scores.logprobs.mean()
    return means
