"""Selectors by name: the arms that one budget is compared over, `adg` being the product.

A selector is a function of the candidates and the configuration. To add one, write a module with such a function and
enter it in `SELECTORS`; its name becomes a partition of the assets behind the selection.
"""

from collections.abc import Mapping

from adg_pipeline.algorithms.selectors import adg, random
from adg_pipeline.algorithms.selectors.base import Selector

SELECTORS: Mapping[str, Selector] = {"adg": adg.select, "random": random.select}


def selector(name: str) -> Selector:
    """The selector of this name; a ValueError that lists the names if there is none."""
    if name not in SELECTORS:
        raise ValueError(f"there is no selector {name!r}: choose one of {', '.join(SELECTORS)}")
    return SELECTORS[name]


__all__ = ["SELECTORS", "Selector", "selector"]
