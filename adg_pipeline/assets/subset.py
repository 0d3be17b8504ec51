"""What a subset is made of: where every example stands, the selected ones in full, and the folder that is published."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline import report
from adg_pipeline.algorithms.budgets import choose, keep_listed, parts_of
from adg_pipeline.algorithms.filters import REASONS, filter_reasons
from adg_pipeline.algorithms.funnel import Step, funnel
from adg_pipeline.algorithms.stability import jackknife
from adg_pipeline.assets.candidates import AT_A_TIME, candidates, columns_of, cosines
from adg_pipeline.assets.duplicates import EXACT, reasons, stands_for
from adg_pipeline.assets.exclusions import excluded
from adg_pipeline.errors import StaleInputError
from adg_pipeline.formats.fields import with_counts
from adg_pipeline.formats.schema import RAW_POOL_SCHEMA
from adg_pipeline.host.files import publish_directory
from adg_pipeline.lineage.in_force import reads_tokens
from adg_pipeline.lineage.recipes import CODE_VERSIONS
from adg_pipeline.lineage.states import SHARD_ASSETS, SelectionInputs
from adg_pipeline.settings.budget import budget_fault, is_asked_for
from adg_pipeline.settings.kept import Kept
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.ledger import Look
from adg_pipeline.store.selections import write_frame, write_manifest

REPEATED = "the same example stands in another shard"
CONFLICT = "the same id with other content stands elsewhere in the pool"
UNBINNED = "its instruction could not be embedded: its vector is NaN or infinite"
RANKING = [
    "example_id", "shard", "content_hash", "source", "dispersion", "anisotropy", "modes", "distinct_answers", "bin",
    "score", "bin_rank", "bin_size", "bin_quota", "selected", "rank", "jackknife",
    "left_out", "duplicate_of", "found_in", "must_keep", "tokens",
]  # fmt: skip


def rank(
    store: Store,
    arm: str,
    examples: pl.DataFrame,
    config: SelectionConfig,
    states: np.ndarray | None = None,
    given: Sequence[str] = (),
    must_keep: Sequence[str] = (),
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Where every example stands: left_out (a reason), or its place in its bin, and whether it is selected; and how stable
    that is.

    An example that stands in two shards counts once, and so does one that stands under two ids: of them, and of near
    duplicates where the settings ask for it, the best by score is left (duplicate_of: who stands for one). The same id with
    other content is a fault of the pool: the content with the smallest hash is kept, whatever the order of the shards.

    states: (Q, d) of the queries, where the arm compares those. must_keep: ids that the subset must have, where they are
    eligible. Raises SettingsError where they are more than the budget, or a source has less than its quota.
    """
    same_id = pl.col("example_id") == pl.col("example_id").shift()
    same_content = pl.col("content_hash") == pl.col("content_hash").shift()
    repeat = pl.when(same_id & same_content).then(pl.lit(REPEATED)).when(same_id).then(pl.lit(CONFLICT))
    filtered = filter_reasons(examples, config).replace_strict(REASONS, default=None)
    unbinned = pl.when(pl.col("bin").is_null()).then(pl.lit(UNBINNED))
    shards = sorted(examples["shard"].unique())
    table = excluded(store, arm, shards, examples, config)
    table = table.with_columns(left_out=pl.coalesce(repeat, filtered, unbinned, "excluded")).drop("excluded")
    del examples
    eligible = table.filter(pl.col("left_out").is_null()).drop("left_out")
    table = table.filter(pl.col("left_out").is_not_null())
    chosen_from = candidates(store, eligible, config, states, given)
    stands = stands_for(store, shards, eligible, chosen_from, config, must_keep)
    if (replaced := stands != np.arange(len(stands))).any():
        repeats = pl.concat([eligible, reasons(eligible, stands)], how="horizontal").filter(replaced)
        chosen_from, eligible = chosen_from.take(np.flatnonzero(~replaced)), eligible.filter(~replaced)
        table = pl.concat([table, repeats], how="diagonal")
    parts = parts_of(chosen_from, config, must_keep)
    places = choose(chosen_from, config, parts)
    stability = jackknife(chosen_from, config, places, parts, lambda rows: cosines(store, eligible[rows]))
    places = keep_listed(places, must_keep, chosen_from, config, parts)
    # Of an arm without bins the semantic one is shown, which decided nothing.
    bins = places["bin"].cast(pl.Int32).fill_null(eligible["bin"])
    placed = places.drop("example_id", "bin").rename({"position": "rank"})
    kept = pl.Series("jackknife", stability.kept, dtype=pl.Int64)
    if stability.kept is None:
        kept = pl.Series("jackknife", [None] * eligible.height, dtype=pl.Int64)
    ranked = pl.concat([eligible.with_columns(bins.alias("bin"), kept), placed], how="horizontal")
    whole = pl.concat([ranked, table], how="diagonal").with_columns(pl.col("selected", "must_keep").fill_null(False))
    for name, kind in (("duplicate_of", pl.String), ("tokens", pl.Int32)):
        if name not in whole.columns:
            whole = whole.with_columns(pl.lit(None, dtype=kind).alias(name))
    return whole.select(RANKING), stability.summary


def require_subset(ranking: pl.DataFrame, config: SelectionConfig) -> None:
    """Refuse a budget over the pool, and a subset of nothing: what is at hand is better."""
    different = ranking.filter(~pl.col("left_out").is_in([REPEATED, CONFLICT, EXACT]).fill_null(False)).height
    fault = None
    if config.budget_tokens is None and is_asked_for(config):
        fault = budget_fault(config.budget, different)
    if fault is None and not ranking["selected"].any():
        fault = f"no example can be selected, so the subset at hand stays as it is{reasons_in_words(ranking)}"
        shortest: Any = ranking.filter(pl.col("left_out").is_null())["tokens"].min()
        if config.budget_tokens is not None and shortest is not None:
            fault = (
                f"selected_subset.budget_tokens is {config.budget_tokens:,}, and what the arm takes first is longer; the "
                f"shortest example that can be selected has {shortest} tokens"
            )
    if fault is not None:
        raise dg.Failure(fault, allow_retries=False)


def subset_rows(store: Store, ranking: pl.DataFrame) -> pl.DataFrame:
    """The selected examples in full, best first."""
    chosen = ranking.filter("selected").select(
        "rank", "example_id", "shard", "score", "dispersion", "anisotropy", "bin"
    )
    parts = []
    shards = chosen["shard"].unique().sort().to_list()
    for start in range(0, len(shards), AT_A_TIME):
        some = shards[start : start + AT_A_TIME]
        rows = chosen.filter(pl.col("shard").is_in(some))
        # A filter and not a join alone: texts of what isn't selected aren't decoded.
        of_ids = pl.col("example_id").is_in(rows["example_id"].implode())
        raw = columns_of(store, "raw_pool", some, RAW_POOL_SCHEMA.names[1:]).filter(of_ids).collect()
        if raw["tools"].null_count():
            shard = raw.filter(pl.col("tools").is_null())["shard"][0]
            raise StaleInputError(
                f"raw_pool of {shard} was made by an earlier version: materialise it again, then select"
            )
        parts.append(raw.join(rows, on=["shard", "example_id"]))
    subset = pl.concat(parts).sort("rank") if parts else chosen
    if subset.height != chosen.height:
        raise StaleInputError(
            f"{chosen.height - subset.height} selected examples are no longer in raw_pool: materialise divergence_scores "
            "again for the shards that changed, then select"
        )
    columns = [column.name for column in report.SUBSET_COLUMNS.columns]
    return subset.select(columns)


def _left_out(ranking: pl.DataFrame) -> dict[str, int]:
    """How many examples are left out, by reason, the most frequent first."""
    counted = ranking.drop_nulls("left_out").group_by("left_out").len()
    return dict(counted.sort("len", "left_out", descending=[True, False]).iter_rows())


def reasons_in_words(ranking: pl.DataFrame) -> str:
    """Why examples are left out, to end a sentence with; empty if none is."""
    reasons = with_counts(_left_out(ranking))
    return f" ({reasons})" if reasons else ""


def make_manifest(
    store: Store,
    arm: str,
    key: str,
    config: SelectionConfig,
    kept: Kept,
    inputs: SelectionInputs,
    bins: dict[str, Any],
    ranking: pl.DataFrame,
    subset: pl.DataFrame,
    stability: dict[str, Any],
) -> dict[str, Any]:
    conflicts = ranking.filter(pl.col("left_out") == CONFLICT)
    look = store.look(keep=True)
    assets = [*SHARD_ASSETS, *inputs.optional]
    shards = {
        shard: {
            "file": (raw := look.required("raw_pool", shard)).facts["file"],
            "sha256": raw.facts["sha256"],
            "rows": raw.rows,
            **{asset: look.required(asset, shard).content for asset in assets},
        }
        for shard in inputs.shards
    }
    recipes = {
        asset: {"id": (recipe := look.required(asset, inputs.shards[0]).recipe).id, **recipe.config} for asset in assets
    }
    return {
        "arm": arm,
        "key": key,
        "config": config.model_dump(mode="json"),
        "kept": kept,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipes": recipes,
        "bins": {**bins["fit"], "recipe": bins["recipe"]},
        "shards": shards,
        "shards_left_out": dict(inputs.left_out),
        "counts": {
            "pool": ranking.height,
            "eligible": ranking.filter(pl.col("left_out").is_null()).height,
            "selected": subset.height,
            "short_of_budget": max(0, config.budget - subset.height) if config.budget_tokens is None else 0,
            **({"tokens": int(ranking.filter("selected")["tokens"].sum())} if reads_tokens(config) else {}),
            "left_out": _left_out(ranking),
            "selected_by_source": dict(subset["source"].value_counts(sort=True).head(50).iter_rows()),
        },
        "funnel": _funnel(look, inputs, ranking),
        "stability": stability,
        "same_id_other_content": [
            f"{row['example_id']} of shard {row['shard']}" for row in conflicts.head(100).iter_rows(named=True)
        ],
        "code_versions": CODE_VERSIONS,
        "packages": {name: version(name) for name in ("adg-pipeline", "polars", "numpy", "scikit-learn", "lancedb")},
    }


def _funnel(look: Look, inputs: SelectionInputs, ranking: pl.DataFrame) -> list[Step]:
    """Of the shards that took part."""
    records, rejected = 0, Counter[str]()
    for shard in inputs.shards:
        facts = look.required("raw_pool", shard).facts
        records += facts["read"]
        rejected.update(facts["reasons"])
    eligible = ranking.filter(pl.col("left_out").is_null()).height
    return funnel(records, rejected, _left_out(ranking), eligible, ranking.filter("selected").height)


def publish(
    directory: Path,
    ranking: pl.DataFrame,
    subset: pl.DataFrame,
    manifest: dict[str, Any],
    remember: Callable[[], None] = lambda: None,
) -> None:
    """remember: called when all is written, just before it is put in place, so that no kill makes a subset forgotten."""

    def fill(temporary: Path) -> None:
        write_frame(subset, temporary / "subset.parquet")
        lines = subset.select(
            "rank",
            "score",
            id="example_id",
            instruction="instruction",
            input="input",
            output="output",
            messages="messages",
            tools="tools",
        )
        lines.write_ndjson(temporary / "subset.jsonl")
        write_frame(ranking, temporary / "ranking.parquet")
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(temporary.iterdir())}
        write_manifest(temporary, {**manifest, "files_sha256": sums})
        remember()

    publish_directory(directory, fill)
