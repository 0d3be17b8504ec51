"""Hidden-state embedding of sampled answers: in batches, and the released code's one text at a time; scores after it."""

import time
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from adg_pipeline.algorithms.divergence import adg_score, answer_divergence
from adg_pipeline.resources.embedders import HiddenStateEmbedder
from benchmarks.embedding import one_by_one
from benchmarks.gpu.backbones import SHAPES, matrix_parameters
from benchmarks.gpu.place import Place

BATCH_SIZES = (32, 128)
ONE_BY_ONE = 100
LAYERS = (-4, -3, -2)


def run(place: Place) -> None:
    import torch

    instructions, answers = _texts(place)
    path = place.backbone()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts = [f"{asked} {answer}" for asked, drawn in zip(instructions, answers, strict=True) for answer in drawn]
    single = one_by_one(path, device, "bfloat16")
    single(texts[0])
    started = time.perf_counter()
    for text in texts[:ONE_BY_ONE]:
        single(text)
    alone = min(ONE_BY_ONE, len(texts)) / (time.perf_counter() - started)
    del single
    place.found(
        name="the released way to embed", figure=alone, unit="texts/s", note="one at a time, whole model, bfloat16"
    )
    if device == "cuda":
        torch.cuda.empty_cache()
    rate = _matrix_rate(device)
    place.found(name="matrix rate", figure=rate / 1e12, unit="TFLOP/s", note="8192 x 8192 x 8192, bfloat16, random")
    depth = SHAPES[place.shape]["num_hidden_layers"] + 1 + max(LAYERS)
    vectors = None
    for batch_size in BATCH_SIZES:
        with HiddenStateEmbedder(path, batch_size=batch_size, device=device, dtype="bfloat16") as embedder:
            embedder.embed_answers(instructions[:16], answers[:16])
            started = time.perf_counter()
            vectors = embedder.embed_answers(instructions, answers)
            seconds = time.perf_counter() - started
            tokens = sum(map(len, embedder._tokenizer(texts, add_special_tokens=False).input_ids))
        operations = 2 * matrix_parameters(place.shape, depth) * tokens
        place.found(
            name=f"HiddenStateEmbedder, {batch_size} a batch", figure=len(texts) / seconds, baseline=alone, unit="texts/s",
            goal=20, limit=len(texts) * rate / operations, share_goal=0.4,
            note=f"{tokens:,} tokens, {tokens / seconds:,.0f} tokens/s; {len(instructions) / seconds:.1f} examples/s; "
            "the limit is the matrix rate",
        )  # fmt: skip
    assert vectors is not None
    started = time.perf_counter()
    found = answer_divergence(vectors)
    adg_score(found.dispersion, found.anisotropy)
    place.found(name="scores", figure=len(vectors) / (time.perf_counter() - started), unit="examples/s")


def _texts(place: Place) -> tuple[list[str], list[list[str]]]:
    """Instructions and sampled answers; before there are any, random tokens in their place, which are alike."""
    instructions = [f"{row['instruction']} {row['input']}".strip() for row in place.raw.to_pylist()]
    if place.answers.exists():
        return instructions, [row["answers"] for row in pq.read_table(place.answers).to_pylist()]
    from adg_pipeline.models.tokenizers import load_tokenizer

    tokenizer: Any = load_tokenizer(place.backbone())
    drawn = np.random.default_rng(0).integers(300, len(tokenizer), (len(instructions), 5, place.new_tokens))
    return instructions, [tokenizer.batch_decode(of_one.tolist()) for of_one in drawn]


def _matrix_rate(device: str) -> float:
    """Operations a second of a large product: the limit of all that follows."""
    import torch

    side = 8192 if device == "cuda" else 256
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    if device == "cuda":
        torch.cuda.synchronize()
    started, repeats = time.perf_counter(), 20
    for _ in range(repeats):
        left @ right
    if device == "cuda":
        torch.cuda.synchronize()
    return repeats * 2 * side**3 / (time.perf_counter() - started)
