"""Worlds: backbones that know some skills and barely know others, each trained from a seed of its own.

From random weights a backbone takes ten minutes (`adg_pipeline.demo.train_backbone`). Here it starts from the packaged one,
shrunk and shaken until it knows nothing any more, and learns anew from exchanges of another seed: a minute. The tokenizer
stays.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from adg_pipeline.demo.corpus import Mixture
from adg_pipeline.demo.train_backbone import Recipe, fit, save
from adg_pipeline.host.files import publish_directory
from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline.models.tokenizers import load_tokenizer

SHRUNK, SHAKEN = 0.6, 0.5  # weights by the first, and noise of so many of their standard deviations
# Pools ask by the Alpaca template and of nothing everyday: so the backbone needn't learn the rest.
RECIPE = Recipe(
    steps=500, batch_size=32, learning_rate=3e-3, warmup_steps=50, mixture=replace(Mixture(), chat=0.0, everyday=0.02)
)
logger = logging.getLogger(__name__)


def backbone(folder: Path, seed: int, recipe: Recipe = RECIPE) -> Path:
    """The folder of a world's backbone in the Hugging Face layout; trained and kept in `folder` if it isn't there."""
    made = folder / "backbone"
    if not made.is_dir():
        tokenizer = load_tokenizer(str(EMBEDDED_FOLDER))
        model = fit(shaken(seed), replace(recipe, seed=seed), tokenizer)
        publish_directory(made, lambda staged: save(model, tokenizer, staged))
    return made


def shaken(seed: int) -> Any:
    """The packaged backbone with its matrices shrunk and noise added (shrink and perturb, arXiv 1910.08475)."""
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED_FOLDER, dtype=torch.float32, use_safetensors=True)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim == 2:
                noise = torch.randn(weights.shape, generator=draw) * weights.std() * SHAKEN
                weights.mul_(SHRUNK).add_(noise)
    return model
