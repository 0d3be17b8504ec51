"""Examples that are left out for what they hold: an item of a benchmark, or what another file or subset holds."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from adg_pipeline.algorithms.duplicates import Keys, Signatures, alike_by
from adg_pipeline.assets.fingerprints import fingerprint_table
from adg_pipeline.assets.given import ids_of
from adg_pipeline.errors import SettingsError
from adg_pipeline.formats.convert import read_whole
from adg_pipeline.settings.sections import FingerprintConfig, SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.duplicates import keys_of, signatures_of

CONTAMINATED = "it gives away an item of a benchmark"
HELD = "a file that is to be left out holds the same"
NEARLY_HELD = "a file that is to be left out holds nearly the same"
PAIRS = 50_000  # pairs whose signatures are compared at a time

FOUND = ["shard", "example_id", "excluded", "found_in"]


def excluded(
    store: Store, arm: str, shards: Sequence[str], examples: pl.DataFrame, config: SelectionConfig
) -> pl.DataFrame:
    """The examples with excluded (a reason, or null) and found_in: the benchmark's item and the words in common, or file and
    record. The first reason that applies, in the order above.

    examples: shard, example_id and content_hash at least. Raises SettingsError where a file can't be read.
    """
    found = [
        *(_contaminated(store, shards) if config.decontaminate else ()),
        *(
            one
            for place in config.without
            for one in _held(store, arm, place, shards, examples, config.near_duplicates)
        ),
    ]
    if not found:
        return examples.with_columns(excluded=pl.lit(None, pl.String), found_in=pl.lit(None, pl.String))
    first = pl.concat(found).unique(["shard", "example_id"], keep="first", maintain_order=True)
    return examples.join(first, on=["shard", "example_id"], how="left", maintain_order="left")


def _contaminated(store: Store, shards: Sequence[str]) -> Iterator[pl.DataFrame]:
    if not store.required_provenance("fingerprints", shards[0]).recipe.config.get("benchmarks"):
        raise SettingsError(
            "selected_subset.decontaminate: no benchmarks are named: set `fingerprints.benchmarks` to the folder that "
            "`adg benchmarks prepare` filled, or to files"
        )
    for shard in shards:
        table = pl.DataFrame(store.read_table("fingerprints", shard, ["example_id", "benchmark", "item", "ngram"]))
        hits = table.filter(pl.col("benchmark").is_not_null())
        yield hits.select(
            "example_id",
            shard=pl.lit(shard),
            excluded=pl.lit(CONTAMINATED),
            found_in=pl.format("{} {}: {}", "benchmark", "item", "ngram"),
        ).select(FOUND)


def _held(
    store: Store, arm: str, place: str, shards: Sequence[str], examples: pl.DataFrame, likeness: float | None
) -> Iterator[pl.DataFrame]:
    """What of the pool a file holds: its ids where it is a list of them; else the same content, then what is as alike."""
    _require(store, arm, place)
    if (ids := ids_of(Path(place))) is not None:
        named = pl.lit(f"{Path(place).name}: its id")
        listed = examples.filter(pl.col("example_id").is_in(ids))
        yield listed.select("shard", "example_id", excluded=pl.lit(HELD), found_in=named)
        return
    raw, _ = read_whole(Path(place))
    named = pl.format("{} record {}", pl.lit(Path(place).name), "row")
    known = raw.select("content_hash", found_in=named).unique("content_hash", keep="first", maintain_order=True)
    same = examples.join(known, on="content_hash", how="inner", maintain_order="left")
    yield same.select("shard", "example_id", excluded=pl.lit(HELD), found_in="found_in").select(FOUND)
    if likeness is None or raw.is_empty():
        return
    made_with = store.required_provenance("fingerprints", shards[0]).recipe.config
    config = FingerprintConfig(text=made_with["text"], words=made_with["words"])
    table = fingerprint_table(raw, config)
    theirs = signatures_of(table), keys_of(table)
    records = raw.select(named.alias("found_in"))["found_in"]
    for shard in shards:
        stored = store.read_table("fingerprints", shard, ["example_id", "signature", "bands"])
        mine, their = _alike(signatures_of(stored), keys_of(stored), *theirs, likeness)
        names = pl.Series(stored["example_id"])[mine]
        yield pl.select(
            shard=pl.repeat(shard, len(names), dtype=pl.String),
            example_id=pl.lit(names),
            excluded=pl.repeat(NEARLY_HELD, len(names), dtype=pl.String),
            found_in=pl.lit(records[their]),
        )


def _require(store: Store, arm: str, place: str) -> None:
    path = Path(place)
    if not path.is_file():
        raise SettingsError(f"selected_subset.without: there is no file {path.absolute()}")
    if path.resolve().is_relative_to(store.selection_dir(arm).resolve()):
        raise SettingsError(
            f"selected_subset.without: {path} is this arm's own subset, which it would take turns with: copy it first"
        )


def _alike(
    signed: Signatures, keys: Keys, their_signed: Signatures, their_keys: Keys, likeness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the first that are as alike to a row of the second, each with the first such."""
    met = []
    for band in range(keys.shape[1]):
        mine = pl.DataFrame({"mine": np.arange(len(keys)), "key": keys[:, band]})
        their = pl.DataFrame({"their": np.arange(len(their_keys)), "key": their_keys[:, band]})
        met.append(mine.join(their, on="key").select("mine", "their"))
    pairs = pl.concat(met).unique().sort("mine", "their")
    first, second = pairs["mine"].to_numpy(), pairs["their"].to_numpy()
    parts = [
        alike_by(signed[first[at : at + PAIRS]], their_signed[second[at : at + PAIRS]]) >= likeness
        for at in range(0, len(first), PAIRS)
    ]
    same = np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)
    rows, place = np.unique(first[same], return_index=True)
    return rows, second[same][place]
