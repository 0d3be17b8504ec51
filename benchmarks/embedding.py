"""Embedders on 1,000 answers of mixed length against one text at a time, by the same model in the same process."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.models.backbones import resolve_backbone
from adg_pipeline.models.devices import pick_device
from adg_pipeline.models.tokenizers import load_tokenizer
from adg_pipeline.resources.embedders import HiddenStateEmbedder, SentenceTransformerEmbedder
from adg_pipeline.resources.embedders.token_weights import token_weight
from benchmarks.result import Result, arguments, best_seconds, report

INSTRUCTIONS, ANSWERS = 200, 5
BATCH_SIZE = 32
REPEATS = 2
SOME = 40  # instructions for the slower model
WORDS = ("river", "count", "solve", "bright", "seven", "because", "left", "table", "answer", "42", "green", "moves")


def mixed_answers() -> tuple[list[str], list[list[str]]]:
    """200 instructions with 5 answers each of 1 to 120 words, most of them short, no two alike."""
    generator = np.random.default_rng(0)

    def words(count: int) -> str:
        return " ".join(generator.choice(WORDS, count))

    instructions = [f"Question {row}: {words(8)}?" for row in range(INSTRUCTIONS)]
    lengths = np.clip(generator.lognormal(3.0, 1.0, (INSTRUCTIONS, ANSWERS)), 1, 120).astype(int)
    return instructions, [
        [f"{words(length)} {row}-{k}" for k, length in enumerate(row_lengths)]
        for row, row_lengths in enumerate(lengths)
    ]


def one_by_one(backbone: str, device: str, dtype: str = "float32") -> Callable[[str], NDArray[np.float32]]:
    """The paper's pooling as its released code runs it: each text through the whole causal model."""
    import torch
    from transformers import AutoModelForCausalLM

    path = resolve_backbone(backbone)
    tokenizer = load_tokenizer(path)
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype))
    model = model.to(device).eval()

    @torch.no_grad()
    def embed(text: str) -> NDArray[np.float32]:
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids.to(device)
        states = model(ids, output_hidden_states=True).hidden_states
        hidden = torch.stack([states[layer][0] for layer in (-4, -3, -2)]).mean(0)
        weights = [token_weight(tokenizer.decode([token])) for token in ids[0].tolist()]
        pooled = torch.tensor(weights, device=device) @ hidden.float()
        return (pooled / pooled.norm().clamp(min=1e-12)).cpu().numpy()

    return embed


def compare(
    name: str, goal: float | None, note: str, texts: int, fast: Callable[[], object], slow: Callable[[], object]
) -> Result:
    seconds = [float("inf"), float("inf")]
    for _ in range(REPEATS):  # in turn, so that whatever else runs meets both alike
        seconds = [min(seconds[0], best_seconds(fast, 1)), min(seconds[1], best_seconds(slow, 1))]
    return Result(name, texts / seconds[0], "texts/s", texts / seconds[1], goal, note=note)


def run(device: str = "auto", backbone: str = "embedded") -> list[Result]:
    device = pick_device(device)
    instructions, answers = mixed_answers()
    sequences = [f"{asked} {answer}" for asked, drawn in zip(instructions, answers, strict=True) for answer in drawn]
    released = one_by_one(backbone, device)
    with HiddenStateEmbedder(backbone, batch_size=BATCH_SIZE, device=device, dtype="float32") as embedder:
        embedder.embed_answers(instructions[:8], answers[:8])
        hidden_state = compare(
            "HiddenStateEmbedder",
            4.0,
            f"{len(sequences)} answers of mixed length on {device}, against the released code's one at a time",
            len(sequences),
            lambda: embedder.embed_answers(instructions, answers),
            lambda: [released(text) for text in sequences],
        )
    with (
        SentenceTransformerEmbedder(batch_size=BATCH_SIZE, device=device) as batched,
        SentenceTransformerEmbedder(batch_size=1, device=device) as single,
    ):
        sentence_transformer = compare(
            "SentenceTransformerEmbedder",
            None,
            f"{SOME * ANSWERS} of these on {device}, {BATCH_SIZE} a batch, against one at a time",
            SOME * ANSWERS,
            lambda: batched.embed_answers(instructions[:SOME], answers[:SOME]),
            lambda: single.embed_answers(instructions[:SOME], answers[:SOME]),
        )
    return [hidden_state, sentence_transformer]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--backbone", default="embedded", help="a directory, a hub name, or 'embedded'")
    options = parser.parse_args()
    report(run(options.device, options.backbone), as_json=options.json)
