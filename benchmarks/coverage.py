"""How often the 95% intervals of `paired_difference` hold the truth, on simulated arms of few seeds and few clusters.

    python -m benchmarks.coverage > benchmarks/coverage.md

Marks are right or wrong: a question's difficulty, its cluster's, how much better an arm is at it, a seed's luck and the
chance of the single mark make the odds. Seeds vary not at all, or add from 0.8 to 6 points to the standard error of an arm's
mean; questions and chance add 1 to 3. With 2,000 pairs of arms a row, a figure is within 1% of the one that more would give.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.algorithms import statistics
from adg_pipeline.algorithms.statistics import paired_difference
from benchmarks.result import arguments, machine_facts

PAIRS, RESAMPLES = 2000, 500
BETTER = 0.3  # log-odds, as are the deviations
DIFFICULTY, OF_CLUSTER, OF_ARM, CHANCE = 1.0, 0.5, 0.3, 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """seeds: trained of each arm. luck: deviation of a seed. questions, clusters: 0 clusters if each is for itself."""

    seeds: int
    luck: float
    questions: int = 200
    clusters: int = 0

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.arange(self.questions) % (self.clusters or self.questions)


def worlds() -> Iterator[World]:
    for seeds in (1, 2, 3, 5, 10):
        for times in (0.0, 0.5, 1.0, 2.0, 4.0):
            yield World(seeds, times * 0.08 * np.sqrt(seeds))
    for clusters in (3, 5, 10, 27):
        for seeds in (2, 3, 5):
            yield World(seeds, 0.2, 270, clusters)


def marks(world: World, draw: np.random.Generator) -> tuple[Floats, Floats]:
    """Two arms of (seeds, questions) zeros and ones, the first the better one."""
    labels, size = world.labels, (world.seeds, world.questions)
    common = draw.normal(0, DIFFICULTY, world.questions)
    arms = []
    for ahead in (BETTER, 0.0):
        odds = ahead + common + draw.normal(0, OF_ARM, world.questions)
        if world.clusters:
            odds = odds + draw.normal(0, OF_CLUSTER, world.clusters)[labels]
        odds = odds + draw.normal(0, world.luck, (world.seeds, 1)) + draw.normal(0, CHANCE, size)
        arms.append((draw.random(size) < 1 / (1 + np.exp(-odds))).astype(np.float64))
    return arms[0], arms[1]


def truth(world: World, draw: np.random.Generator) -> float:
    deviation = np.sqrt(
        DIFFICULTY**2 + OF_ARM**2 + CHANCE**2 + world.luck**2 + (OF_CLUSTER**2 if world.clusters else 0)
    )
    odds = draw.normal(0, deviation, 2_000_000)
    return float((1 / (1 + np.exp(-odds - BETTER)) - 1 / (1 + np.exp(-odds))).mean())


def coverage(world: World, pairs: int, seed: int = 0) -> tuple[float, float]:
    """Share of the intervals that hold the truth, and their mean half width."""
    draw = np.random.default_rng(seed)
    true = truth(world, draw)
    clusters = world.labels if world.clusters else None
    found = [paired_difference(*marks(world, draw), clusters=clusters) for _ in range(pairs)]
    held = [one.low <= true <= one.high for one in found]
    return float(np.mean(held)), float(np.mean([one.high - one.low for one in found])) / 2


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="simulated pairs of arms a row")
    options = parser.parse_args()
    statistics.RESAMPLES = RESAMPLES
    print(f"{machine_facts()}. {options.pairs:,} pairs of arms a row, {RESAMPLES} resamples each.\n")
    print(
        "| seeds | deviation of a seed (log-odds) | questions | clusters | 95% intervals that hold the truth | half width |"
    )
    print("|---|---|---|---|---|---|")
    for world in worlds():
        held, reach = coverage(world, options.pairs)
        clusters = world.clusters or "each its own"
        print(
            f"| {world.seeds} | {world.luck:.2f} | {world.questions} | {clusters} | {held:.1%} | {reach:.3f} |",
            flush=True,
        )
