"""Train the embedded backbone and its tokenizer from nothing: ``python -m adg_pipeline.demo.train_backbone --out DIR``.

About ten minutes on 2 cores. The examples, their order and the initial weights follow from the seed; float rounding,
and so the last digits of the weights, depends on the machine and its number of threads.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from adg_pipeline.algorithms.prompts import Template, alpaca_prompt
from adg_pipeline.demo.corpus import Exchange, Mixture, exchanges
from adg_pipeline.demo.tokenizer import train_tokenizer
from adg_pipeline.models.templates import PromptTemplate

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

_BATCHES_PER_SORT = 32
_SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Recipe:
    """What the weights follow from."""

    seed: int = 17
    steps: int = 3600
    batch_size: int = 64
    learning_rate: float = 3e-3
    warmup_steps: int = 150
    weight_decay: float = 0.01
    vocab_size: int = 896
    tokenizer_texts: int = 40_000
    mixture: Mixture = field(default_factory=Mixture)


def boilerplate() -> tuple[str, ...]:
    """The fixed parts of the Alpaca prompts, found by rendering marks through them."""
    with_input, without_input = alpaca_prompt("\0", "\1"), alpaca_prompt("\0", "")
    before, rest = with_input.split("\0")
    between, after = rest.split("\1")
    return tuple(dict.fromkeys([before, between, after, *without_input.split("\0")]))


def render(exchange: Exchange, templates: Mapping[Template, PromptTemplate]) -> tuple[str, str]:
    """Prompt and answer as text, the answer with its end token."""
    template = templates["chat" if exchange.chat else "alpaca"]
    prompt = template.prompt({"instruction": exchange.instruction, "input": exchange.input})
    return prompt.text, exchange.output + template.after_answer


def make_tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    """The tokenizer, trained on the texts that stand between the boilerplate."""
    examples = islice(exchanges(recipe.seed, recipe.mixture), recipe.tokenizer_texts)
    texts = (text for e in examples for text in (e.instruction, e.input, e.output))
    return train_tokenizer(texts, boilerplate(), recipe.vocab_size)


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """The untrained backbone: Llama shape, hidden 128, head size 32 (vLLM takes no smaller), tied embeddings."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _batches(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[Tensor, Tensor]]:
    """(ids, is_answer), both (B, T), right-padded. Examples of like length share a batch."""
    import torch

    source = exchanges(recipe.seed + 1, recipe.mixture)
    templates: dict[Template, PromptTemplate] = {kind: PromptTemplate(tokenizer, kind) for kind in get_args(Template)}
    order = torch.Generator().manual_seed(recipe.seed)
    while True:
        rendered = [render(e, templates) for e in islice(source, recipe.batch_size * _BATCHES_PER_SORT)]
        prompts = tokenizer([prompt for prompt, _ in rendered])["input_ids"]
        answers = tokenizer([answer for _, answer in rendered])["input_ids"]
        pairs = sorted(zip(prompts, answers, strict=True), key=lambda pair: len(pair[0]) + len(pair[1]))
        for b in torch.randperm(_BATCHES_PER_SORT, generator=order).tolist():
            batch = pairs[b * recipe.batch_size : (b + 1) * recipe.batch_size]
            length = max(len(prompt) + len(answer) for prompt, answer in batch)
            ids = torch.full((len(batch), length), tokenizer.pad_token_id)
            is_answer = torch.zeros((len(batch), length), dtype=torch.bool)
            for row, (prompt, answer) in enumerate(batch):
                end = len(prompt) + len(answer)
                ids[row, :end] = torch.tensor(prompt + answer)
                is_answer[row, len(prompt) : end] = True
            yield ids, is_answer


def train(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Train from random weights."""
    return fit(make_model(tokenizer, recipe.seed), recipe, tokenizer)


def fit(model: LlamaForCausalLM, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Train a model in place by AdamW with warm-up and cosine decay, loss on the answers; returns it."""
    import torch
    from torch.nn.functional import cross_entropy

    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
    )

    def schedule(step: int) -> float:
        if step < recipe.warmup_steps:
            return (step + 1) / recipe.warmup_steps
        progress = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    start = last_line = time.monotonic()
    for step, (ids, is_answer) in enumerate(islice(_batches(recipe, tokenizer), recipe.steps), start=1):
        hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[is_answer[:, 1:]])  # only the answers' positions: a third of the time saved
        loss = cross_entropy(logits, ids[:, 1:][is_answer[:, 1:]])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        now = time.monotonic()
        if now - last_line > _SECONDS_BETWEEN_LINES or step == recipe.steps:
            last_line = now
            left = (now - start) / step * (recipe.steps - step)
            logger.info("step %d/%d, loss %.4f, %.0f s left", step, recipe.steps, loss.item(), left)
    return model.eval()


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the checkpoint in the Hugging Face layout, weights in float32 as they were trained."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@click.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the checkpoint."
)
@click.option("--steps", type=click.IntRange(min=1), default=Recipe.steps, show_default=True, help="Optimizer steps.")
@click.option("--seed", type=int, default=Recipe.seed, show_default=True, help="Seed of data, order and weights.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="CPU threads.")
def main(out: Path, steps: int, seed: int, threads: int) -> None:
    """Train the embedded backbone and its tokenizer, and write them to --out."""
    import torch

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(threads)
    recipe = Recipe(seed=seed, steps=steps)
    tokenizer = make_tokenizer(recipe)
    model = train(recipe, tokenizer)
    save(model, tokenizer, out)
    logger.info("%d parameters, %d tokens, written to %s", model.num_parameters(), len(tokenizer), out)


if __name__ == "__main__":
    main()
