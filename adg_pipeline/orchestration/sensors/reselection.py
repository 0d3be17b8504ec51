"""reselection_sensor: renew the subset once every shard is scored and none is about to change. Level-triggered.

It compares the subset at hand with the scores at hand: an update that arrives while a selection runs leads to exactly
one more, and forty shards that finish together lead to one. A shard put aside is left out by name instead of blocking.
A selection that failed is not asked for again until its inputs or settings change: the run key names both.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import dagster as dg

from adg_pipeline.algorithms.arms import arms as known_arms
from adg_pipeline.errors import PipelineError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.in_force import optional_reads, settings_in_force
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.lineage.states import SelectionInputs, ShardState, selection_inputs, selection_key, shard_states
from adg_pipeline.orchestration.compute import RESELECTION_PRIORITY
from adg_pipeline.orchestration.partitions import arms as arm_partitions
from adg_pipeline.orchestration.partitions import register, seeds
from adg_pipeline.orchestration.runs import SELECTION_JOB, selection_assets, selections_in_flight, shards_in_flight
from adg_pipeline.store import Store


@dataclass(frozen=True)
class ReselectionDecision:
    """Either a reason to wait, or the keys of the inputs to select from (arm → key)."""

    wait: str = ""
    requests: Mapping[str, str] | None = None


def decide_reselection(
    states: Mapping[str, ShardState],
    inputs: SelectionInputs,
    shards_in_flight: Collection[str],
    selections_in_flight: int,
    wanted: Mapping[str, str],
    at_hand: Mapping[str, str | None],
    pinned: Collection[str] = (),
) -> ReselectionDecision:
    """The decision for one look.

    Runs over shards that are up to date (a backfill that was started for others, say) don't hold it up: they'll change
    nothing.

    wanted: arm → key of the selection that inputs and settings ask for. at_hand: arm → key of the subset that
    is stored, None where there is none. pinned: arms whose subset somebody restored: it stays until `adg run`.
    """
    if not states:
        return ReselectionDecision("the pool is empty")
    if selections_in_flight:
        return ReselectionDecision(f"{selections_in_flight} selections are in flight")
    busy = sorted(shard for shard in shards_in_flight if shard in states and not states[shard].current)
    if busy:
        return ReselectionDecision(f"{len(busy)} shards are being computed, such as {', '.join(busy[:3])}")
    waiting = sorted(shard for shard, state in states.items() if state.needs_work and state.data_changed)
    if waiting:
        return ReselectionDecision(f"{len(waiting)} shards are still to be computed, such as {', '.join(waiting[:3])}")
    if not inputs.scores:
        return ReselectionDecision("no shard is scored")
    if inputs.mixed:
        return ReselectionDecision(f"{inputs.mixed}; bring them in line with `adg run` or a backfill")
    due = {arm: key for arm, key in wanted.items() if at_hand.get(arm) != key}
    stay = sorted(arm for arm in due if arm in pinned)
    if stay == sorted(due) != []:
        return ReselectionDecision(f"restored, so kept until `adg run` is called: the subset of {', '.join(stay)}")
    requests = {arm: key for arm, key in due.items() if arm not in pinned}
    return ReselectionDecision(requests=requests) if requests else ReselectionDecision("every subset is up to date")


def build_reselection_sensor(interval_seconds: int) -> dg.SensorDefinition:
    @dg.sensor(
        name="reselection_sensor",
        job_name=SELECTION_JOB,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Renews the subset when every shard is scored and the scores or the settings have changed.",
    )
    def reselection_sensor(context: dg.SensorEvaluationContext, store: Store) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = settings_in_force(store).settings
            arms = settings.sensors.arms
            wanted = {arm: settings_in_force(store, arm).settings for arm in arms}
            listing = list_shards(store.pool_dir)
            reads_any = optional_reads(of.selected_subset for of in wanted.values())
            look = store.look(keep=True)
            states = shard_states(store, listing, wanted_recipes(settings, **reads_any), look=look)
            shards = list(listing.shards)
            inputs = {
                arm: selection_inputs(store, shards, look, **optional_reads([of.selected_subset]))
                for arm, of in wanted.items()
            }
            inputs_of_all = selection_inputs(store, shards, look, **reads_any)
        except (PipelineError, OSError, ValueError) as error:
            return dg.SkipReason(f"the scores can't be looked at: {error}")
        # Those at hand too: a store may be older than its instance, or come from elsewhere.
        stored = [name for name in store.selected_arms() if name in known_arms(settings.arms)]
        register(context.instance, arm_partitions, [*arms, *stored])
        trained = {seed for arm in stored for seed in store.trained_seeds(arm)}
        register(context.instance, seeds, [str(seed) for seed in {settings.finetuned_checkpoint.seed, *trained}])
        at_hand = {arm: store.selection_manifest(arm) or {} for arm in arms}
        decision = decide_reselection(
            states,
            inputs_of_all,
            shards_in_flight(context.instance),
            selections_in_flight(context.instance),
            {
                arm: selection_key(arm, of.semantic_bins.recipe(), of.selected_subset.recipe(), inputs[arm])
                for arm, of in wanted.items()
            },
            {arm: manifest.get("key") for arm, manifest in at_hand.items()},
            [arm for arm in arms if store.is_pinned(arm)],
        )
        if not decision.requests:
            return dg.SkipReason(decision.wait)
        # Without a configuration: what holds is looked up when the run starts (`adg_pipeline.assets.asked`).
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    # Dagster starts one run per key, whatever becomes of it. A subset that was made before, and then
                    # another in its place, is asked for again.
                    run_key=f"{arm}-{key}-{at_hand[arm].get('made_at', '')}",
                    partition_key=arm,
                    asset_selection=selection_assets(wanted[arm].selected_subset),
                    tags=RESELECTION_PRIORITY,
                )
                for arm, key in decision.requests.items()
            ],
        )

    return reselection_sensor
