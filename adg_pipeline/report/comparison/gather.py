"""Reads from the store what a comparison holds, but for the figures: those come from the benchmark results."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from adg_pipeline.report.comparison.content import Arm, Comparison, Corner, Cost, Example
from adg_pipeline.store import Store

CORNER_EXAMPLES = 2


def gather(
    store: Store,
    figures: pl.DataFrame,
    marks: pl.DataFrame,
    arms: Sequence[Arm],
    costs: Sequence[Cost],
    **facts: Any,
) -> Comparison:
    """The comparison of these arms, whose subsets and pool lie in the store.

    facts: the other fields of `Comparison`: suite, baseline, backbone, limit, beside, how.
    """
    manifests = [manifest for arm in arms if (manifest := store.selection_manifest(arm.name)) is not None]
    shards = sorted({shard for manifest in manifests for shard in manifest["shards"]})
    pool = _pool(store, shards)
    records, rejected = _read(store, shards)
    return Comparison(
        figures=figures,
        marks=marks,
        arms=arms,
        pool=pool,
        records=records,
        rejected=rejected,
        corners=list(corners(store, pool, arms)),
        costs=[*_shard_costs(store, shards), *costs],
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **facts,
    )


def _pool(store: Store, shards: Sequence[str]) -> pl.DataFrame:
    """Every example once, by id; shard is one that holds it."""
    columns = ["example_id", "source", "output_chars", "dispersion", "anisotropy"]
    scored = pl.concat([_table(store, "divergence_scores", shard, columns) for shard in shards])
    binned = scored.join(store.bins.assignments(), on=["shard", "example_id"], how="left")
    return binned.sort("example_id", "shard").unique("example_id", keep="first", maintain_order=True)


def _read(store: Store, shards: Sequence[str]) -> tuple[int, dict[str, int]]:
    records, rejected = 0, Counter[str]()
    for shard in shards:
        facts = store.required_provenance("raw_pool", shard).facts
        records += facts["read"]
        rejected.update(facts["reasons"])
    return records, dict(rejected.most_common())


def corners(store: Store, pool: pl.DataFrame, arms: Sequence[Arm]) -> Iterator[Corner]:
    """The quadrants of D and I, each with the examples furthest into it: by rank in D and rank in I, then by id.

    Only of examples whose answers differ: where the backbone knows most of the pool, both medians would be 0.
    """
    scored = pool.filter(pl.col("dispersion") > 0)
    if scored.is_empty():
        return
    placed = scored.with_columns(
        (pl.col("dispersion") > pl.col("dispersion").median()).alias("wide"),
        (pl.col("anisotropy") > pl.col("anisotropy").median()).alias("many_ways"),
        pl.col("dispersion").rank().alias("rank_d") / scored.height,
        pl.col("anisotropy").rank().alias("rank_i") / scored.height,
    )
    chosen, differing = {arm.name: set(arm.chosen) for arm in arms}, set(scored["example_id"])
    for wide, many_ways in ((False, False), (True, False), (False, True), (True, True)):
        rows = placed.filter(wide=wide, many_ways=many_ways)
        inside = set(rows["example_id"])
        depth = pl.min_horizontal(
            pl.col("rank_d") if wide else 1 - pl.col("rank_d"), pl.col("rank_i") if many_ways else 1 - pl.col("rank_i")
        )
        deepest = rows.sort(depth, "example_id", descending=[True, False]).head(CORNER_EXAMPLES)
        yield Corner(
            wide,
            many_ways,
            rows.height / scored.height,
            {name: len(ids & inside) / max(1, len(ids & differing)) for name, ids in chosen.items()},
            [_example(store, row, chosen) for row in deepest.iter_rows(named=True)],
        )


def _example(store: Store, row: Mapping[str, Any], chosen: Mapping[str, set[str]]) -> Example:
    found = pl.col("example_id") == row["example_id"]
    raw = store.scan("raw_pool", [row["shard"]]).filter(found).collect().row(0, named=True)
    answered = store.scan("generations", [row["shard"]]).filter(found).select("answers").collect()
    file = store.required_provenance("raw_pool", row["shard"]).facts["file"]
    return Example(
        example_id=row["example_id"],
        origin=f"{file}, record {raw['row']}",
        instruction=raw["instruction"],
        input=raw["input"],
        output=raw["output"],
        answers=answered["answers"][0].to_list() if answered.height and answered["answers"][0] is not None else [],
        dispersion=row["dispersion"],
        anisotropy=row["anisotropy"],
        chosen_by=[name for name, ids in chosen.items() if row["example_id"] in ids],
    )


def _shard_costs(store: Store, shards: Sequence[str]) -> Iterator[Cost]:
    """What the stages before the selection took, as far as their provenance tells."""
    sampled = [store.required_provenance("generations", shard).facts for shard in shards]
    answers = sum(facts["asked"] + facts["reused"] for facts in sampled)
    yield Cost(
        "Sampling answers",
        f"{answers:,} answers to {sum(facts['examples'] for facts in sampled):,} examples",
        _seconds(sampled),
        sum(facts["output_tokens"] for facts in sampled),
    )
    for asset, stage in (
        ("answer_embeddings", "Embedding answers"),
        ("instruction_embeddings", "Embedding instructions"),
        ("divergence_scores", "Scoring divergence"),
        ("reference_losses", "Scoring references"),
    ):
        stored = [one for shard in shards if (one := store.provenance(asset, shard)) is not None]
        if stored:
            rows = sum(one.rows for one in stored)
            yield Cost(stage, f"{rows:,} rows", _seconds([one.facts for one in stored]))


def _seconds(facts: Sequence[Mapping[str, Any]]) -> float | None:
    """In all; None where a shard is of before seconds were recorded."""
    known = [of["seconds"] for of in facts if "seconds" in of]
    return sum(known) if len(known) == len(facts) else None


def _table(store: Store, asset: str, shard: str, columns: Sequence[str]) -> pl.DataFrame:
    frame = pl.from_arrow(store.read_table(asset, shard, columns))
    assert isinstance(frame, pl.DataFrame)
    return frame.select(columns).with_columns(shard=pl.lit(shard))
