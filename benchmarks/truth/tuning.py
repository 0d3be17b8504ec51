"""What a subset teaches: the product's training recipe on a model in memory, and the questions asked afterwards.

A hundred steps take a second or two, where a process of its own, a checkpoint and a publication take twenty. The same
rows in the same order end in the weights that the product's trainer gives (`test_tuning`); only the order is drawn otherwise.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import get_scheduler

from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.resources.trainer.examples import IGNORED, tokenize_examples
from adg_pipeline.settings.sections import TrainingConfig

# 800 examples in all: five passes over a tenth of the pool.
RECIPE = TrainingConfig(max_steps=100, batch_size=8, gradient_accumulation=1, learning_rate=5e-4, precision="float32")
CLIP = 1.0  # the Trainer's default


def tune(model: Any, template: PromptTemplate, rows: Sequence[Mapping[str, Any]], config: TrainingConfig) -> None:
    """Tune the model in place on rows of a raw pool: AdamW, loss on the answers."""
    examples = tokenize_examples([dict(row) for row in rows], template, config.max_length)
    pairs = list(zip(examples.input_ids, examples.labels, strict=True))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    warmup = math.ceil(config.max_steps * config.warmup_ratio)
    schedule = get_scheduler(config.scheduler, optimizer, warmup, config.max_steps)
    model.train()
    batches = _batches(len(pairs), config.batch_size, config.seed)
    for _ in range(config.max_steps):
        ids, labels = _padded([pairs[place] for place in next(batches)], template.tokenizer.pad_token_id)
        hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        learnt = labels[:, 1:] != IGNORED  # logits of the answers only: the rest has no loss
        loss = cross_entropy(model.lm_head(hidden[learnt]), labels[:, 1:][learnt])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()


def _batches(examples: int, size: int, seed: int) -> Iterator[list[int]]:
    """Pass after pass in random order; the last batch of a pass is as short as it comes, as the Trainer has it."""
    draw = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(examples, generator=draw).tolist()
        yield from (order[start : start + size] for start in range(0, examples, size))


def _padded(pairs: Sequence[tuple[list[int], list[int]]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, labels), both (B, T), padded on the right, where nothing that counts can look."""
    longest = max(len(ids) for ids, _ in pairs)
    padded_ids = [ids + [pad] * (longest - len(ids)) for ids, _ in pairs]
    padded_labels = [labels + [IGNORED] * (longest - len(labels)) for _, labels in pairs]
    return torch.tensor(padded_ids), torch.tensor(padded_labels)
