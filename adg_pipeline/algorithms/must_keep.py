"""Examples that a subset must have, whatever the arm: they take the places of those that it chose last."""

from collections.abc import Sequence

import polars as pl


def keep(places: pl.DataFrame, ids: Sequence[str], budget: int) -> pl.DataFrame:
    """An arm's choice with the ids that must be in it, in the order of the list, before all others.

    The subset is as large as before, or larger up to the budget where the arm took less.

    Args:
        places: example_id (each once), selected, position (from 1, null where not selected), and maybe left_out: what an arm
            chose.
        ids: that must be selected. Those that `places` doesn't have are passed over.
        budget: of the subset.

    Returns:
        The same rows with selected, position and left_out changed, and must_keep.

    Raises ValueError where there are more ids than the budget has places.
    """
    listed = pl.DataFrame({"example_id": list(dict.fromkeys(ids))}, schema={"example_id": pl.String})
    first = listed.join(places.select("example_id"), on="example_id", how="semi", maintain_order="left")
    if first.height > budget:
        raise ValueError(
            f"{first.height:,} examples must be kept and the budget is {budget:,}: raise the budget or shorten the list"
        )
    chosen = places.filter("selected").sort("position").select("example_id")
    others = chosen.join(first, on="example_id", how="anti", maintain_order="left")
    size = min(budget, others.height + first.height) if chosen.height < budget else chosen.height
    order = pl.concat([first, others.head(size - first.height)]).with_row_index("now", offset=1)
    joined = places.join(order, on="example_id", how="left", maintain_order="left")
    kept = pl.col("example_id").is_in(first["example_id"].to_list())
    changed = {
        "selected": pl.col("now").is_not_null(),
        "position": pl.col("now").cast(places.schema["position"]),
        "must_keep": kept,
    }
    if "left_out" in places.columns:
        changed["left_out"] = pl.when(~kept).then("left_out")
    return joined.with_columns(**changed).drop("now")
