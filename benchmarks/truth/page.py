"""The tables of docs/truth.md: written between marks, so that what the page says in figures is what was measured."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from adg_pipeline.algorithms.statistics import Difference
from benchmarks.truth.plan import BUDGET, HARD, MAIN_NOISE, NOISES, OTHER_BUDGETS, TELLING
from benchmarks.truth.records import RANDOM, UNMET
from benchmarks.truth.subsets import ARMS, IDEAS
from benchmarks.truth.tables import BARELY_KNOWN, Where, accuracy, arms_at, difference, picked, places, share_of_oracle

PAGE = Path(__file__).resolve().parents[2] / "docs" / "truth.md"
MAIN: tuple[Where, ...] = tuple((RANDOM, share, BUDGET) for share in NOISES)
HARDER: tuple[Where, ...] = tuple((*noise, BUDGET) for noise in HARD)
AGAINST = ("random", "adg", "adg_grounded")
# The picture's; the page has a table of every noise for each of the other budgets.
BUDGETS: tuple[Where, ...] = tuple((RANDOM, MAIN_NOISE, budget) for budget in sorted((BUDGET, *OTHER_BUDGETS)))


def write(results: pl.DataFrame, page: Path = PAGE) -> None:
    """Renew the tables of the page."""
    text = page.read_text("utf-8")
    for name, table in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(lambda found: f"{found[1]}{table(results)}\n{found[2]}", text)  # noqa: B023
    page.write_text(text, encoding="utf-8")


def accuracies(results: pl.DataFrame, arms: Sequence[str], wheres: Sequence[Where], of: str = BARELY_KNOWN) -> str:
    """Accuracy on skills of one kind, an arm a row and a place a column, the best in the first place first."""
    done = [where for where in wheres if where in places(results)]
    order = {arm: place for where in reversed(done) for place, arm in enumerate(arms_at(results, where))}
    rows = []
    for arm in sorted((arm for arm in order if arm in arms), key=lambda arm: order[arm]):
        cells = []
        for where in done:
            if arm not in arms_at(results, where):
                cells.append("")
                continue
            found = accuracy(results, where, arm, of)
            cells.append(f"{_short(found.mean)} ± {_short(found.half)} ({found.n})")
        rows.append([f"`{arm}`", *cells])
    return _table(["arm", *map(_named, done)], rows)


def useful(results: pl.DataFrame, arms: Sequence[str], wheres: Sequence[Where]) -> str:
    """Clean examples of barely known skills in a subset, an arm a row and a place a column; those with most come first."""
    done = [where for where in wheres if where in places(results)]
    found = {arm: [picked(results, where, arm).get("barely-known") for where in done] for arm in arms}
    rows = []
    for arm in sorted(found, key=lambda arm: -sum(count or 0 for count in found[arm])):
        if any(count is not None for count in found[arm]):
            rows.append([f"`{arm}`", *("" if count is None else f"{count:.0f}" for count in found[arm])])
    return _table(["arm", *map(_named, done)], rows)


def differences(results: pl.DataFrame, where: Where, arms: Sequence[str]) -> str:
    """What an arm's subset holds and teaches in one place, against random, the paper's method and the oracle."""
    rows = []
    for arm in (arm for arm in arms_at(results, where) if arm in arms):
        kinds, share = picked(results, where, arm), share_of_oracle(results, where, arm)
        rows.append(
            [
                f"`{arm}`",
                *(f"{kinds.get(kind, 0):.0f}" for kind in ("barely-known", "known", "open-ended", where[0])),
                _short(accuracy(results, where, arm, "known").mean),
                *(_signed(difference(results, where, arm, other)) for other in AGAINST),
                "" if share is None else f"{share[0]:.0%} ({share[1]:.0%} to {share[2]:.0%})",
            ]
        )
    heads = [
        "arm", "barely known", "known", "open-ended", "noise", "known skills",
        *(f"to `{other}`" for other in AGAINST), "of the oracle's gain",
    ]  # fmt: skip
    return _table(heads, rows)


def _named(where: Where) -> str:
    noise, share, budget = where
    name = f"{share:.0%} {noise}" if share else "no noise"
    return name if budget == BUDGET else f"{name}, budget {budget:.0%}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _short(value: float) -> str:
    return f"{value:.3f}".lstrip("0") if abs(value) < 1 else f"{value:.2f}"


def _signed(found: Difference | None) -> str:
    return "" if found is None else f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


EVERY = ("untuned", *ARMS, *IDEAS)
TABLES: dict[str, Callable[[pl.DataFrame], str]] = {
    "main": lambda results: accuracies(results, ("untuned", *ARMS), MAIN),
    "useful": lambda results: useful(results, (*ARMS, *IDEAS), (*MAIN, *HARDER)),
    "differences": lambda results: differences(results, (RANDOM, MAIN_NOISE, BUDGET), EVERY),
    "harder": lambda results: accuracies(results, EVERY, HARDER),
    "unmet": lambda results: accuracies(results, EVERY, HARDER[-1:], UNMET),
    "ideas": lambda results: accuracies(results, (*TELLING, *IDEAS), (MAIN[1], MAIN[2], *HARDER)),
    **{
        f"budget {budget:.0%}": partial(
            accuracies, arms=("untuned", *ARMS), wheres=[(RANDOM, share, budget) for share in NOISES]
        )
        for budget in OTHER_BUDGETS
    },
}
