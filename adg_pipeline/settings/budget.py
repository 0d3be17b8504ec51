"""Whether a pool is large enough for the budget: one rule for the command line and for the selection."""

from collections.abc import Iterable, Mapping
from typing import Any

from adg_pipeline.settings.sections import SelectionConfig

DEFAULT = SelectionConfig().budget


def is_asked_for(config: SelectionConfig, *, explicit: bool = False) -> bool:
    """Whether somebody set the budget. The default is nobody's wish: of a smaller pool it takes all there is."""
    return explicit or config.budget != DEFAULT


def budget_of(config: Mapping[str, Any]) -> int | str:
    """The budget that a subset was made with: examples, or tokens in words."""
    tokens = config.get("budget_tokens")
    return int(config["budget"]) if tokens is None else f"{tokens:,} tokens"


def budget_fault(budget: int, usable: int) -> str | None:
    """Why a budget that was asked for can't be met by so many different examples; None if it can.

    Examples that the filters of the selection leave out later don't count against it: nobody can know them beforehand.
    """
    if budget <= usable:
        return None
    return (
        f"selected_subset.budget is {budget:,}, but the pool holds {usable:,} usable examples, each counted once: ask for "
        f"1 to {usable:,}, or add files to the pool"
    )


def count_different(ids: Iterable[Iterable[str]], enough: int) -> int:
    """Number of different ids in several tables; counting ends at `enough`."""
    seen: set[str] = set()
    for table in ids:
        seen.update(table)
        if len(seen) >= enough:
            return enough
    return len(seen)
