"""Which cells are run with which arms: an honest part of all there are, since every training takes seconds.

The main part and the budgets have every arm. What harder noises and ideas are asked with are the arms that came out of
it as telling.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.truth.cells import UNTUNED, Cell
from benchmarks.truth.ideas import ARMS as IDEAS
from benchmarks.truth.ideas import WITH_GAINS
from benchmarks.truth.records import OTHER_SKILL, OWN_ANSWER, RANDOM, UNMET
from benchmarks.truth.subsets import ARMS, ORACLE, RANDOM_CLEAN

NOISES = (0.0, 0.1, 0.3, 0.5)
MAIN_NOISE = 0.3  # what the page's longest table is of, so it comes first
BY_WEIGHT = sorted(NOISES, key=lambda share: share != MAIN_NOISE)
BUDGET, OTHER_BUDGETS = 0.1, (0.05, 0.2)
HARD = ((OTHER_SKILL, 0.3), (OWN_ANSWER, 0.1), (OWN_ANSWER, 0.3), (UNMET, 0.3))
TELLING = (
    "random", "adg", "adg_reach", "adg_length_control", "adg_grounded", "reference_probability", RANDOM_CLEAN, ORACLE,
)  # fmt: skip
IDEAS_WITHOUT_GAINS = tuple(arm for arm in IDEAS if arm not in WITH_GAINS)
HARD_SEEDS = 6  # of those that are run


@dataclass(frozen=True)
class Task:
    """Arms to run in a cell; `trained`: what their subsets teach as well as what they are."""

    cell: Cell
    arms: Sequence[str]
    trained: bool = True


Plan = Sequence[Task]


def _telling(seeds: Sequence[int]) -> Iterator[Task]:
    for seed in seeds:
        cells = [Cell(seed, RANDOM, share, BUDGET) for share in NOISES]
        yield from (Task(cell, (*ARMS, *IDEAS_WITHOUT_GAINS), trained=False) for cell in cells)
        yield from (Task(cell, (UNTUNED, *TELLING)) for cell in cells)


def _main(seeds: Sequence[int]) -> Iterator[Task]:
    yield from (Task(Cell(seed, RANDOM, share, BUDGET), (UNTUNED, *ARMS)) for seed in seeds for share in BY_WEIGHT)


def _budgets(seeds: Sequence[int]) -> Iterator[Task]:
    cells = (Cell(seed, RANDOM, share, budget) for share in BY_WEIGHT for seed in seeds for budget in OTHER_BUDGETS)
    yield from (Task(cell, (UNTUNED, *ARMS)) for cell in cells)


def _hard(seeds: Sequence[int]) -> Iterator[Task]:
    for seed in seeds[:HARD_SEEDS]:
        cells = [Cell(seed, kind, share, BUDGET) for kind, share in HARD]
        yield from (Task(cell, (*ARMS, *IDEAS_WITHOUT_GAINS), trained=False) for cell in cells)
        yield from (Task(cell, (UNTUNED, *TELLING)) for cell in cells)


def _ideas(seeds: Sequence[int]) -> Iterator[Task]:
    noises = ((RANDOM, 0.1), (RANDOM, 0.3), *HARD)
    yield from (Task(Cell(seed, *noise, BUDGET), tuple(IDEAS)) for seed in seeds[:HARD_SEEDS] for noise in noises)


# In the order in which they are run: whenever a sweep is stopped, the most telling part is there.
PARTS = {"telling": _telling, "hard": _hard, "ideas": _ideas, "main": _main, "budgets": _budgets}


def plan(parts: Sequence[str], seeds: Sequence[int]) -> Plan:
    """Tasks; a cell can come again with more of its arms."""
    return [task for part, of_part in PARTS.items() if part in parts for task in of_part(seeds)]


def together(plan: Plan) -> dict[Cell, list[str]]:
    """The arms of each cell, each once."""
    arms: dict[Cell, list[str]] = {}
    for task in plan:
        known = arms.setdefault(task.cell, [])
        known.extend(arm for arm in task.arms if arm not in known)
    return arms
