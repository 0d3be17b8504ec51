"""selected_subset: the best examples of each bin, with a manifest from which the subset can be made again."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline import report
from adg_pipeline.algorithms.filters import REASONS, filter_reasons
from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.algorithms.stability import jackknife
from adg_pipeline.assets.asked import asked, generation_asked, losses_asked
from adg_pipeline.assets.candidates import StatesOf, candidates, cosines, scored_examples
from adg_pipeline.errors import SettingsError, StaleInputError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.host.files import publish_directory
from adg_pipeline.lineage.in_force import reads_references
from adg_pipeline.lineage.recipes import CODE_VERSIONS, reference_losses_recipe
from adg_pipeline.lineage.states import SHARD_ASSETS, SelectionInputs, selection_inputs, selection_key
from adg_pipeline.orchestration.compute import SELECTION_POOL
from adg_pipeline.orchestration.partitions import arms
from adg_pipeline.orchestration.runs import SENSOR_TAG
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.losses.states import query_states
from adg_pipeline.settings.budget import budget_fault, is_asked_for
from adg_pipeline.settings.kept import Kept
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig, SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import differences
from adg_pipeline.store.selections import read_manifest, write_frame, write_manifest

REPEATED = "the same example stands in another shard"
CONFLICT = "the same id with other content stands elsewhere in the pool"
UNBINNED = "its instruction could not be embedded: its vector is NaN or infinite"
RANKING = [
    "example_id", "shard", "content_hash", "source", "dispersion", "anisotropy", "modes", "distinct_answers", "bin",
    "score", "bin_rank", "bin_size", "bin_quota", "selected", "rank", "left_out",
]  # fmt: skip
DESCRIPTION = """The subset to train on: per semantic bin the examples with the best score, exactly the budget in all.

Shards that were scored in different ways are refused, by name. The manifest records all that the subset was made from;
`ranking.parquet` tells of every example why it was selected or not (`adg explain`).
"""


def build(defaults: SelectionConfig, losses: ReferenceLossConfig, generation: GenerationConfig) -> dg.AssetsDefinition:
    """losses, generation: what reads the queries of an arm that compares hidden states."""
    every_shard = dg.AllPartitionMapping()

    @dg.asset(
        description=DESCRIPTION,
        deps=[
            dg.AssetDep("raw_pool", partition_mapping=every_shard),
            dg.AssetDep("divergence_scores", partition_mapping=every_shard),
            dg.AssetDep("reference_losses", partition_mapping=every_shard),
            "semantic_bins",
        ],
        partitions_def=arms,
        config_schema=launchpad_schema(defaults),
        pool=SELECTION_POOL,
        code_version=CODE_VERSIONS["selected_subset"],
        group_name="selection",
        kinds={"polars", "parquet"},
        owners=["team:ml"],
        metadata={"dagster/column_schema": report.SUBSET_COLUMNS},
    )
    def selected_subset(
        context: dg.AssetExecutionContext, store: Store, generators: GeneratorFactory
    ) -> dg.MaterializeResult:
        arm = context.partition_key
        config, kept = asked(context, store, SelectionConfig, arm)
        by_sensor = SENSOR_TAG in context.run.tags
        if by_sensor and store.is_pinned(arm):
            context.log.info(f"selected_subset {arm}: was restored and stays until `adg run` is called")
            return _result(store, arm, config)
        if config.selector not in SELECTORS:
            known = ", ".join(SELECTORS)
            raise dg.Failure(f"there is no selector {config.selector!r}: choose one of {known}", allow_retries=False)
        reads = reads_references(config)
        inputs = selection_inputs(store, list(list_shards(store.pool_dir).shards), references=reads)
        bins = _usable_bins(store, inputs)
        key = selection_key(arm, bins["recipe"], config.recipe(), inputs)
        before = store.selection_manifest(arm)
        if before is not None and before["key"] == key and before["bins"]["fit_id"] == bins["fit"]["fit_id"]:
            store.require_selection(arm)
            context.log.info(f"selected_subset {arm}: up to date, nothing computed")
            if not by_sensor:
                store.remember_subset(arm, kept)
            return _result(store, arm, config)

        def states_of(queries: Sequence[Mapping[str, Any]]) -> np.ndarray:
            scoring, sampled = losses_asked(context, store, losses), generation_asked(context, store, generation)
            stored = store.required_provenance("reference_losses", inputs.shards[0]).recipe
            if changed := differences(stored, reference_losses_recipe(scoring, sampled)):
                told = "; ".join(changed)
                raise dg.Failure(f"references were read with other settings ({told}): `adg run`", allow_retries=False)
            with generators.open(scoring.scorer(sampled)) as generator:
                return query_states(queries, generator, scoring.batch_size)

        read = ["divergence_scores", "raw_pool", *(["reference_losses"] if reads else [])]
        with store.damage_named(read, inputs.shards):
            try:
                ranking, stability = _rank(store, scored_examples(store, inputs, config), config, states_of)
            except SettingsError as error:
                raise dg.Failure(str(error), allow_retries=False) from error
            _require_subset(ranking, config)
            subset = _subset(store, ranking)
        manifest = _manifest(store, arm, key, config, kept, inputs, bins, ranking, subset, stability)
        with store.shard_lock("selected_subset", arm):
            # Looked at again: somebody may have asked for another subset, or restored one, while this run was under way.
            if by_sensor and before is not None and _overtaken(context, store, arm, config):
                context.log.info(f"selected_subset {arm}: asked for otherwise meanwhile, nothing is replaced")
                return _result(store, arm, config)
            history = store.subset_history(arm)
            history.keep_current()
            remember = (lambda: None) if by_sensor else (lambda: store.remember_subset(arm, kept))
            _publish(store.selection_dir(arm), ranking, subset, manifest, remember)
            history.prune(config.history)
        if inputs.left_out:
            context.log.warning(f"selected_subset {arm}: shards left out: {', '.join(inputs.left_out)}")
        counts = manifest["counts"]
        if counts["eligible"] < config.budget:
            context.log.warning(
                f"selected_subset {arm}: {subset.height:,} selected, {counts['short_of_budget']:,} fewer than the "
                f"budget of {config.budget:,}: {counts['eligible']:,} of {ranking.height:,} examples are eligible"
                f"{_reasons(ranking)}"
            )
        context.log.info(f"selected_subset {arm}: {subset.height:,} of {ranking.height:,} examples selected")
        return _result(store, arm, config)

    return selected_subset


def _overtaken(context: dg.AssetExecutionContext, store: Store, arm: str, config: SelectionConfig) -> bool:
    return store.is_pinned(arm) or asked(context, store, SelectionConfig, arm)[0] != config


def _usable_bins(store: Store, inputs: SelectionInputs) -> dict[str, Any]:
    if not inputs.scores:
        raise dg.Failure("no shard is scored yet: materialise the shard assets first", allow_retries=False)
    if inputs.mixed:
        raise dg.Failure(
            f"{inputs.mixed}. Scores made in different ways can't be ranked against each other: run `adg status` to see "
            "what differs and `adg run` to bring them in line",
            allow_retries=False,
        )
    bins = store.bins.manifest()
    if bins is None:
        raise dg.Failure("there are no semantic bins yet: materialise semantic_bins", allow_retries=False)
    return bins


def _rank(
    store: Store, examples: pl.DataFrame, config: SelectionConfig, states_of: StatesOf
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Where every example stands: left_out (a reason), or its place in its bin, and whether it is selected; and how stable
    that is.

    An example that stands in two shards counts once. The same id with other content is a fault of the pool: the content
    with the smallest hash is kept, whatever the order of the shards.
    """
    same_id = pl.col("example_id") == pl.col("example_id").shift()
    same_content = pl.col("content_hash") == pl.col("content_hash").shift()
    repeat = pl.when(same_id & same_content).then(pl.lit(REPEATED)).when(same_id).then(pl.lit(CONFLICT))
    reasons = filter_reasons(examples, config).replace_strict(REASONS, default=None)
    unbinned = pl.when(pl.col("bin").is_null()).then(pl.lit(UNBINNED))
    table = examples.with_columns(left_out=pl.coalesce(repeat, reasons, unbinned))
    eligible = table.filter(pl.col("left_out").is_null()).drop("left_out")
    chosen_from = candidates(store, eligible, config, states_of)
    places = SELECTORS[config.selector].choose(chosen_from, config)
    stability = jackknife(chosen_from, config, places, lambda rows: cosines(store, eligible[rows]))
    # Of an arm without bins the semantic one is shown, which decided nothing.
    bins = places["bin"].cast(pl.Int32).fill_null(eligible["bin"])
    placed = places.drop("example_id", "bin").rename({"position": "rank"})
    ranked = pl.concat([eligible.with_columns(bins.alias("bin")), placed], how="horizontal")
    others = table.filter(pl.col("left_out").is_not_null())
    whole = pl.concat([ranked, others], how="diagonal").with_columns(pl.col("selected").fill_null(False))
    return whole.select(RANKING), stability


def _require_subset(ranking: pl.DataFrame, config: SelectionConfig) -> None:
    """Refuse a budget over the pool, and a subset of nothing: what is at hand is better."""
    different = ranking.filter(~pl.col("left_out").is_in([REPEATED, CONFLICT]).fill_null(False)).height
    fault = budget_fault(config.budget, different) if is_asked_for(config) else None
    if fault is None and not ranking["selected"].any():
        fault = f"no example can be selected, so the subset at hand stays as it is{_reasons(ranking)}"
    if fault is not None:
        raise dg.Failure(fault, allow_retries=False)


def _subset(store: Store, ranking: pl.DataFrame) -> pl.DataFrame:
    """The selected examples in full, best first."""
    chosen = ranking.filter("selected").select(
        "rank", "example_id", "shard", "score", "dispersion", "anisotropy", "bin"
    )
    parts = []
    for (shard,), rows in chosen.group_by("shard"):
        raw = store.scan("raw_pool", [str(shard)])
        if "tools" not in raw.collect_schema():
            raise StaleInputError(
                f"raw_pool of {shard} was made by an earlier version: materialise it again, then select"
            )
        parts.append(raw.join(rows.lazy(), on="example_id").with_columns("shard").collect())
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


def _reasons(ranking: pl.DataFrame) -> str:
    """Why examples are left out, to end a sentence with; empty if none is."""
    reasons = "; ".join(f"{number:,} × {reason}" for reason, number in _left_out(ranking).items())
    return f" ({reasons})" if reasons else ""


def _manifest(
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
    assets = [*SHARD_ASSETS, *(["reference_losses"] if inputs.references else [])]
    shards = {
        shard: {
            "file": (raw := store.required_provenance("raw_pool", shard)).facts["file"],
            "sha256": raw.facts["sha256"],
            "rows": raw.rows,
            **{asset: store.required_provenance(asset, shard).content for asset in assets},
        }
        for shard in inputs.shards
    }
    recipes = {
        asset: {"id": (recipe := store.required_provenance(asset, inputs.shards[0]).recipe).id, **recipe.config}
        for asset in assets
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
            "short_of_budget": max(0, config.budget - subset.height),
            "left_out": _left_out(ranking),
            "selected_by_source": dict(subset["source"].value_counts(sort=True).head(50).iter_rows()),
        },
        "stability": stability,
        "same_id_other_content": [
            f"{row['example_id']} of shard {row['shard']}" for row in conflicts.head(100).iter_rows(named=True)
        ],
        "code_versions": CODE_VERSIONS,
        "packages": {name: version(name) for name in ("adg-pipeline", "polars", "numpy", "scikit-learn", "lancedb")},
    }


def _publish(
    directory: Path,
    ranking: pl.DataFrame,
    subset: pl.DataFrame,
    manifest: dict[str, Any],
    remember: Callable[[], None],
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


def _result(store: Store, arm: str, config: SelectionConfig) -> dg.MaterializeResult:
    directory, manifest = store.selection_dir(arm), read_manifest(store.selection_dir(arm)) or {}
    ranking = pl.read_parquet(directory / "ranking.parquet", glob=False)
    subset = pl.read_parquet(directory / "subset.parquet", glob=False)
    shown = report.selection(manifest, ranking, subset, config.weight)
    return dg.MaterializeResult(metadata={**shown, "path": dg.MetadataValue.path(str(directory))})
