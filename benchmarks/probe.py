"""Whether `adg probe` foretells what cheaper settings pick: from five answers, against picks from five others.

    python -m benchmarks.probe

600 examples of the embedded world are answered ten times with the packaged backbone. What is shown is the correlation of
picks (0 or 1 for each example) of a setting on five answers with those of the full setting on the five others, by that of
the full setting with itself: a mean over draws of which five. What is foretold is `adg_pipeline.algorithms.cheaper`, of
samples of 200.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.algorithms.cheaper import Splits, paper_score, picked
from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.algorithms.seeds import sample_seed
from adg_pipeline.demo.pool import pool_records
from adg_pipeline.resources.embedders import open_embedder
from adg_pipeline.resources.generators.base import Answer, AnswerRequest
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.settings.sections import EmbeddingConfig, GenerationConfig
from benchmarks.result import arguments, machine_facts

EXAMPLES, ANSWERS, SAMPLE, CUT = 600, 10, 200, 6
DRAWS, PROBES = 12, 10
SHARES = (0.1, 0.2, 0.33)
FULL, SHORT, MINILM = "full", f"answers cut to {CUT} tokens", "all-MiniLM-L6-v2 in place of hidden states"

Cosines = NDArray[np.float64]
SCORE = paper_score(0.4)


def answered() -> tuple[list[str], list[list[str]], list[list[str]]]:
    """Instructions, their answers, and these cut."""
    rows = list(islice(pool_records(seed=7), EXAMPLES))
    config = GenerationConfig(samples=ANSWERS, max_new_tokens=48)
    with open_generator(config) as generator:
        requests = [
            AnswerRequest(
                row["id"],
                k,
                generator.render(row["instruction"], row["input"]),
                sample_seed(42, row["id"], k),
                f"{n} {k}",
            )
            for n, row in enumerate(rows)
            for k in range(ANSWERS)
        ]
        had = {request.request_id: outcome for request, outcome in generator.generate(requests)}
        texts = [
            [answer.text for k in range(ANSWERS) if isinstance(answer := had[f"{n} {k}"], Answer)]
            for n in range(EXAMPLES)
        ]
        template, tokenizer = generator.template, generator.tokenizer
        assert template is not None
        cut = [
            [tokenizer.decode(template.encode_answer(text)[:CUT], skip_special_tokens=True) for text in row]
            for row in texts
        ]
    return [row["instruction"] for row in rows], texts, cut


def cosines() -> dict[str, Cosines]:
    """(N, 10, 10) of each way to compare the answers."""
    asked, texts, cut = answered()
    with open_embedder(EmbeddingConfig(embedder="hidden_state"), "embedded") as embedder:
        vectors = {FULL: embedder.embed_answers(asked, texts), SHORT: embedder.embed_answers(asked, cut)}
    with open_embedder(EmbeddingConfig(), "embedded") as embedder:
        vectors[MINILM] = embedder.embed_answers(asked, texts)
    return {name: answer_divergence(of).cosines for name, of in vectors.items()}


def part(of: Cosines, answers: NDArray[np.int64]) -> Cosines:
    return of[:, answers][:, :, answers]


def shown(of: Mapping[str, Cosines], share: float) -> dict[str, float]:
    draw, found = np.random.default_rng(1), dict[str, list[float]]()
    for _ in range(DRAWS):
        order = draw.permutation(ANSWERS)
        first, others = order[:5], picked(SCORE(part(of[FULL], order[5:])), share)
        settings = {FULL: (FULL, 5), "K = 2": (FULL, 2), "K = 3": (FULL, 3), "K = 4": (FULL, 4)}
        for name, (way, count) in (settings | {SHORT: (SHORT, 5), MINILM: (MINILM, 5)}).items():
            ours = picked(SCORE(part(of[way], first[:count])), share)
            found.setdefault(name, []).append(float(np.corrcoef(ours, others)[0, 1]))
    return {name: float(np.mean(values) / np.mean(found[FULL])) for name, values in found.items()}


def foretold(of: Mapping[str, Cosines], share: float) -> Iterator[tuple[str, float]]:
    draw = np.random.default_rng(2)
    for _ in range(PROBES):
        rows, five = draw.choice(EXAMPLES, SAMPLE, replace=False), draw.permutation(ANSWERS)[:5]
        sample = {name: part(each[rows], five) for name, each in of.items()}
        held = Splits(sample[FULL], SCORE, share)
        told = {f"K = {k}": held.with_answers(k) for k in (2, 3, 4)}
        told |= {name: held.against(sample[name]) for name in (SHORT, MINILM)}
        yield from ((name, one.value) for name, one in told.items() if one is not None)


def main() -> None:
    arguments(__doc__).parse_args()
    of = cosines()
    print(f"{EXAMPLES} examples, {ANSWERS} answers; {machine_facts()}\n")
    print("| picked | setting | shown | foretold | spread of one probe |\n|---|---|---|---|---|")
    for share in SHARES:
        told: dict[str, list[float]] = {}
        for name, value in foretold(of, share):
            told.setdefault(name, []).append(value)
        truth = shown(of, share)
        for name, values in told.items():
            print(f"| {share:.0%} | {name} | {truth[name]:.2f} | {np.mean(values):.2f} | {np.std(values):.2f} |")


if __name__ == "__main__":
    main()
