"""Examples that a subset must have, whatever the arm: they take the places of those that it chose last."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray


def keep(
    places: pl.DataFrame,
    ids: Sequence[str],
    budget: int,
    costs: NDArray[np.int64] | None = None,
    unit: str = "examples",
) -> pl.DataFrame:
    """An arm's choice with the ids that must be in it, in the order of the list, before all others.

    The subset is as large as before, or larger up to the budget where the arm took less.

    Args:
        places: example_id (each once), selected, position (from 1, null where not selected), and maybe left_out: what an arm
            chose.
        ids: that must be selected. Those that `places` doesn't have are passed over.
        budget: of the subset, in units of the costs.
        costs: (N,) what each row takes of the budget; 1 if not given. The first that doesn't fit ends the subset.
        unit: of the budget, to tell it with.

    Returns:
        The same rows with selected, position and left_out changed, and must_keep.

    Raises ValueError where those that must be selected take more than the budget.
    """
    priced = places.select("example_id", "selected", "position", cost=pl.lit(1) if costs is None else pl.Series(costs))
    listed = pl.DataFrame({"example_id": list(dict.fromkeys(ids))}, schema={"example_id": pl.String})
    first = listed.join(priced, on="example_id", how="inner", maintain_order="left").select("example_id", "cost")
    if (asked := int(first["cost"].sum())) > budget:
        what = f"{first.height:,} examples" + (f" of {asked:,} {unit}" if unit != "examples" else "")
        raise ValueError(f"{what} must be kept and the budget is {budget:,}: raise the budget or shorten the list")
    chosen = priced.filter("selected").sort("position").select("example_id", "cost")
    others = chosen.join(first, on="example_id", how="anti", maintain_order="left")
    order = pl.concat([first, others]).filter(pl.col("cost").cum_sum() <= budget).with_row_index("now", offset=1)
    joined = places.join(order.select("example_id", "now"), on="example_id", how="left", maintain_order="left")
    kept = pl.col("example_id").is_in(first["example_id"].to_list())
    changed = {
        "selected": pl.col("now").is_not_null(),
        "position": pl.col("now").cast(places.schema["position"]),
        "must_keep": kept,
    }
    if "left_out" in places.columns:
        changed["left_out"] = pl.when(~kept).then("left_out")
    return joined.with_columns(**changed).drop("now")
