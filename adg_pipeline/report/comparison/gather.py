"""Reads from the store what a comparison holds, but for the figures: those come from the benchmark results."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from adg_pipeline.algorithms.topics import telling_words
from adg_pipeline.report.comparison.content import Arm, Comparison, Corner, Cost, Example
from adg_pipeline.store import Store

CORNER_EXAMPLES = 2
TOPIC_SAMPLE = 50  # instructions of a bin


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
        costs=_with_total([*_shard_costs(store, shards), *costs]),
        topics=_topics(store, shards, pool),
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **facts,
    )


def _pool(store: Store, shards: Sequence[str]) -> pl.DataFrame:
    """Every example once, by id; shard is one that holds it."""
    columns = ["example_id", "source", "output_chars", "dispersion", "anisotropy"]
    scored = pl.concat([_table(store, "divergence_scores", shard, columns) for shard in shards])
    binned = scored.join(store.bins.assignments(), on=["shard", "example_id"], how="left")
    return binned.sort("example_id", "shard").unique("example_id", keep="first", maintain_order=True)


def _topics(store: Store, shards: Sequence[str], pool: pl.DataFrame) -> dict[int, list[str]]:
    """Of each bin the words that tell it, from a sample of its instructions: the first so many by a hash of their ids."""
    drawn = pool.drop_nulls("bin").sort(pl.col("example_id").hash(seed=0), "example_id")
    sample = drawn.select("example_id", "bin").group_by("bin").head(TOPIC_SAMPLE)
    asked = store.scan("raw_pool", shards).select("example_id", "instruction").unique("example_id")
    texts = sample.lazy().join(asked, on="example_id").sort("example_id").collect()
    # Drawn from bins alike: a large one must not make its own words usual.
    by_bin = {int(number): rows["instruction"].to_list() for (number,), rows in texts.group_by("bin")}
    return telling_words(by_bin, texts["instruction"])


def _read(store: Store, shards: Sequence[str]) -> tuple[int, dict[str, int]]:
    look, records, rejected = store.look(), 0, Counter[str]()
    for shard in shards:
        facts = look.required("raw_pool", shard).facts
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
    """What the stages before the selection took, as far as their provenance tells: without the loading of models."""
    look = store.look()
    for asset, stage in (
        ("generations", "Sampling answers"),
        ("answer_embeddings", "Embedding answers"),
        ("instruction_embeddings", "Embedding instructions"),
        ("divergence_scores", "Scoring divergence"),
        ("reference_losses", "Scoring references"),
    ):
        stored = [one for shard in shards if (one := look.provenance(asset, shard)) is not None]
        if not stored:
            continue
        what, tokens = f"{sum(one.rows for one in stored):,} rows", None
        if asset == "generations":
            answers = sum(one.facts["asked"] + one.facts["reused"] for one in stored)
            what = f"{answers:,} answers to {sum(one.facts['examples'] for one in stored):,} examples"
            tokens = sum(one.facts["output_tokens"] for one in stored)
        timed = [one.facts for one in stored if "seconds" in one.facts]
        if 0 < len(timed) < len(stored):
            what += f"; time of {len(timed)} of {len(stored)} shards, the others were made before it was recorded"
        yield Cost(
            stage,
            what,
            sum(facts["seconds"] for facts in timed) if timed else None,
            tokens,
            " or ".join(sorted({facts["hardware"] for facts in timed})) or None,
        )


def _with_total(costs: Sequence[Cost]) -> list[Cost]:
    """The stages, and what all that was recorded of them took."""
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    what = "" if len(seconds) == len(costs) else "of the stages whose time was recorded"
    return [*costs, Cost("In all", what, sum(seconds), sum(cost.tokens or 0 for cost in costs))]


def _table(store: Store, asset: str, shard: str, columns: Sequence[str]) -> pl.DataFrame:
    frame = pl.from_arrow(store.read_table(asset, shard, columns))
    assert isinstance(frame, pl.DataFrame)
    return frame.select(columns).with_columns(shard=pl.lit(shard))
