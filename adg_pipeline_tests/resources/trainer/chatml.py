"""The embedded backbone with a chat template whose end of turn it has never seen, tuned to answer and stop."""

import random
from pathlib import Path

from adg_pipeline.demo.questions import Question, skill_question
from adg_pipeline.demo.skills import KNOWN
from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline.resources.trainer import plan_training
from adg_pipeline.settings.sections import TrainingConfig
from adg_pipeline_tests.models.families import FOLDER
from adg_pipeline_tests.resources.trainer.conftest import example, write_subset

END = "<|im_end|>"


def backbone_with_chatml(folder: Path) -> Path:
    """Its tokenizer's eos stays what it was. The rows of the new tokens are as drawn at random."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_FOLDER)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|im_start|>", END]})
    tokenizer.chat_template = (FOLDER / "chatml.jinja").read_text("utf-8")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED_FOLDER)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    return folder


def questions(count: int, *, held_out: bool) -> list[Question]:
    """Questions of skills that the embedded backbone knows."""
    stream = random.Random(f"chatml/{held_out}")
    return [skill_question(KNOWN[number % len(KNOWN)], stream, held_out=held_out) for number in range(count)]


def tuned_with_chatml(folder: Path) -> Path:
    """A checkpoint as the trainer publishes it, after 60 steps of 8 examples."""
    from adg_pipeline.resources.trainer.finish import finish
    from adg_pipeline.resources.trainer.fit import fit
    from adg_pipeline.resources.trainer.script import load_examples

    rows = [
        example(number, question.output, instruction=question.instruction, input=question.input)
        for number, question in enumerate(questions(480, held_out=False))
    ]
    config = TrainingConfig(
        max_steps=60, learning_rate=3e-3, warmup_ratio=0.1, batch_size=8, gradient_accumulation=1, max_length=512
    )
    backbone = backbone_with_chatml(folder / "backbone")
    subset = write_subset(folder / "subset.parquet", rows)
    job = plan_training(subset, str(backbone), folder / "checkpoint", config, template="chat")
    job.work.mkdir()
    examples = load_examples(job)
    checkpoint, _ = fit(job, examples, lambda line: None)
    return finish(job, checkpoint, examples, 0)
