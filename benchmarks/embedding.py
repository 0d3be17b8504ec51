"""Embedders on 1,000 answers of mixed length against one text at a time, by the same model in the same process."""

from collections.abc import Callable, Sequence

import numpy as np

from adg_pipeline.resources.embedders import Embedder, HiddenStateEmbedder, SentenceTransformerEmbedder
from benchmarks.result import Result, arguments, best_seconds, report

INSTRUCTIONS, ANSWERS = 200, 5
BATCH_SIZE = 32
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


def measure(
    name: str, embedder: Callable[[int], Embedder], instructions: Sequence[str], answers: Sequence[Sequence[str]]
) -> Result:
    with embedder(BATCH_SIZE) as batched, embedder(1) as single:
        batched.embed_answers(instructions[:8], answers[:8])
        single.embed_answers(instructions[:8], answers[:8])
        fast = best_seconds(lambda: batched.embed_answers(instructions, answers))
        slow = best_seconds(lambda: single.embed_answers(instructions, answers), 1)
    texts = INSTRUCTIONS * ANSWERS
    return Result(
        name=name,
        figure=texts / fast,
        baseline=texts / slow,
        unit="texts/s",
        ratio=slow / fast,
        goal=4.0 if name == "HiddenStateEmbedder" else None,
        note=f"{texts} answers of mixed length, {BATCH_SIZE} a batch, against one at a time",
    )


def run(device: str = "auto", backbone: str = "embedded") -> list[Result]:
    instructions, answers = mixed_answers()

    def hidden_state(batch_size: int) -> Embedder:
        return HiddenStateEmbedder(backbone, batch_size=batch_size, device=device)

    def sentence_transformer(batch_size: int) -> Embedder:
        return SentenceTransformerEmbedder(batch_size=batch_size, device=device)

    return [
        measure("HiddenStateEmbedder", hidden_state, instructions, answers),
        measure("SentenceTransformerEmbedder", sentence_transformer, instructions, answers),
    ]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--backbone", default="embedded", help="a directory, a hub name, or 'embedded'")
    options = parser.parse_args()
    report(run(options.device, options.backbone), as_json=options.json)
