"""selected_subset: the best examples of each bin, with a manifest from which the subset can be made again."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from adg_pipeline import report
from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.assets.asked import asked
from adg_pipeline.assets.candidates import scored_examples
from adg_pipeline.assets.given import find_given, find_must_keep
from adg_pipeline.assets.queries import stored_states
from adg_pipeline.assets.subset import make_manifest, publish, rank, reasons_in_words, require_subset, subset_rows
from adg_pipeline.errors import SettingsError
from adg_pipeline.formats.errors import PoolFileError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.in_force import optional_reads
from adg_pipeline.lineage.recipes import CODE_VERSIONS
from adg_pipeline.lineage.states import SelectionInputs, selection_inputs, selection_key
from adg_pipeline.orchestration.compute import SELECTION_POOL
from adg_pipeline.orchestration.partitions import arms
from adg_pipeline.orchestration.runs import SENSOR_TAG
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.selections import read_manifest

DESCRIPTION = """The subset to train on: per semantic bin the examples with the best score, exactly the budget in all.

Shards that were scored in different ways are refused, by name. The manifest records all that the subset was made from;
`ranking.parquet` tells of every example why it was selected or not (`adg explain`).
"""


def build(defaults: SelectionConfig) -> dg.AssetsDefinition:
    every_shard = dg.AllPartitionMapping()

    @dg.asset(
        description=DESCRIPTION,
        deps=[
            dg.AssetDep("raw_pool", partition_mapping=every_shard),
            dg.AssetDep("divergence_scores", partition_mapping=every_shard),
            dg.AssetDep("reference_losses", partition_mapping=every_shard),
            dg.AssetDep("fingerprints", partition_mapping=every_shard),
            dg.AssetDep("token_counts", partition_mapping=every_shard),
            "semantic_bins",
            "query_states",
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
    def selected_subset(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        arm = context.partition_key
        config, kept = asked(context, store, SelectionConfig, arm)
        by_sensor = SENSOR_TAG in context.run.tags
        if by_sensor and store.is_pinned(arm):
            context.log.info(f"selected_subset {arm}: was restored and stays until `adg run` is called")
            return _result(store, arm, config)
        if config.selector not in SELECTORS:
            known = ", ".join(SELECTORS)
            raise dg.Failure(f"there is no selector {config.selector!r}: choose one of {known}", allow_retries=False)
        reads = optional_reads([config])
        inputs = selection_inputs(store, list(list_shards(store.pool_dir).shards), store.look(keep=True), **reads)
        bins = _usable_bins(store, inputs)
        key = selection_key(arm, bins["recipe"], config.recipe(), inputs)
        before = store.selection_manifest(arm)
        if before is not None and before["key"] == key and before["bins"]["fit_id"] == bins["fit"]["fit_id"]:
            store.require_selection(arm)
            context.log.info(f"selected_subset {arm}: up to date, nothing computed")
            if not by_sensor:
                store.remember_subset(arm, kept)
            return _result(store, arm, config)

        compares = SELECTORS[config.selector].likeness
        states = stored_states(store, arm, config, inputs.shards[0]) if compares else None
        read = ["divergence_scores", "raw_pool", *(["reference_losses"] if reads["references"] else [])]
        with store.damage_named(read, inputs.shards):
            try:
                given = find_given(store, inputs.shards, config) if SELECTORS[config.selector].given else None
                listed, must_keep = () if given is None else given.ids, find_must_keep(store, inputs.shards, config)
                # Not by a name: what is ranked is the largest thing that is held, and isn't needed in full for long.
                ranking, stability = rank(
                    store, arm, scored_examples(store, inputs, config), config, states, listed, must_keep.ids
                )
            except (SettingsError, PoolFileError) as error:
                raise dg.Failure(str(error), allow_retries=False) from error
            require_subset(ranking, config)
            subset = subset_rows(store, ranking)
        manifest = make_manifest(store, arm, key, config, kept, inputs, bins, ranking, subset, stability)
        with store.shard_lock("selected_subset", arm):
            # Looked at again: somebody may have asked for another subset, or restored one, while this run was under way.
            if by_sensor and before is not None and _overtaken(context, store, arm, config):
                context.log.info(f"selected_subset {arm}: asked for otherwise meanwhile, nothing is replaced")
                return _result(store, arm, config)
            history = store.subset_history(arm)
            history.keep_current()
            remember = (lambda: None) if by_sensor else (lambda: store.remember_subset(arm, kept))
            publish(store.selection_dir(arm), ranking, subset, manifest, remember)
            history.prune(config.history)
        if given is not None and given.warning:
            context.log.warning(f"selected_subset {arm}: {given.warning}")
        if must_keep.listed:
            kept_rows = ranking["must_keep"].sum()
            context.log.info(
                f"selected_subset {arm}: {kept_rows:,} of {must_keep.listed:,} that must be kept are in it"
            )
            if must_keep.warning:
                context.log.warning(f"selected_subset {arm}: must_keep: {must_keep.warning}")
        if inputs.left_out:
            context.log.warning(f"selected_subset {arm}: shards left out: {', '.join(inputs.left_out)}")
        counts = manifest["counts"]
        if config.budget_tokens is not None:
            context.log.info(f"selected_subset {arm}: {_tokens_in_words(config.budget_tokens, counts)}")
        elif counts["short_of_budget"]:
            context.log.warning(
                f"selected_subset {arm}: {subset.height:,} selected, {counts['short_of_budget']:,} fewer than the "
                f"budget of {config.budget:,}: {counts['eligible']:,} of {ranking.height:,} examples are eligible"
                f"{reasons_in_words(ranking)}"
            )
        context.log.info(f"selected_subset {arm}: {subset.height:,} of {ranking.height:,} examples selected")
        return _result(store, arm, config)

    return selected_subset


def _overtaken(context: dg.AssetExecutionContext, store: Store, arm: str, config: SelectionConfig) -> bool:
    return store.is_pinned(arm) or asked(context, store, SelectionConfig, arm)[0] != config


def _tokens_in_words(budget: int, counts: Mapping[str, Any]) -> str:
    left = budget - counts["tokens"]
    why = (
        "what the arm takes next is longer" if counts["selected"] < counts["eligible"] else "all that is eligible is in"
    )
    return f"{counts['tokens']:,} of {budget:,} tokens; {left:,} are left: {why}"


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


def _result(store: Store, arm: str, config: SelectionConfig) -> dg.MaterializeResult:
    directory, manifest = store.selection_dir(arm), read_manifest(store.selection_dir(arm)) or {}
    ranking = pl.read_parquet(directory / "ranking.parquet", glob=False)
    subset = pl.read_parquet(directory / "subset.parquet", glob=False)
    shown = report.selection(manifest, ranking, subset, config.weight)
    return dg.MaterializeResult(metadata={**shown, "path": dg.MetadataValue.path(str(directory))})
