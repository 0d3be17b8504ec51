"""pool_growth_sensor: what to do about new, changed and removed pool files. Level-triggered.

Each look compares the pool directory with what is stored, so nothing depends on having seen an event. Only work that
the data asks for is requested: after a change of settings (another model, say) the sensor says how much is stale and
leaves the cost to a person, who starts it with `adg run` or a backfill.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

import dagster as dg

from adg_pipeline.errors import PipelineError
from adg_pipeline.formats.shards import PoolListing, file_version, list_shards
from adg_pipeline.lineage.in_force import settings_in_force, watched_reads
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.lineage.states import ShardState, shard_states
from adg_pipeline.orchestration.compute import GROWTH_PRIORITY
from adg_pipeline.orchestration.jobs import remove_shards_job, shards_job
from adg_pipeline.orchestration.partitions import contiguous_ranges, pool_shards
from adg_pipeline.orchestration.runs import REMOVE_SHARDS_JOB, SHARDS_JOB, range_tags, removal_config, shards_in_flight
from adg_pipeline.store import Store

MAX_ATTEMPTS = 3
FIRST_RETRY_SECONDS = 60.0
GRACE_LOOKS = 10.0  # a file that is replaced by deleting it first may be away for this many times `settle_seconds`
GONE = "gone"


@dataclass(frozen=True)
class Attempt:
    """What the sensor remembers of a shard that is in motion: the file version it last saw, how often that was requested."""

    version: str
    requests: int = 0
    not_before: float = 0.0


@dataclass(frozen=True)
class GrowthDecision:
    """add: partitions to register. request: shards to compute. give_up: shards to put aside, their runs keep failing.
    remove: shards whose file is gone. notes: for the log. memory: of the shards in motion alone; with those that are up to
    date, or wait for a person, it would be as long as the pool, and Dagster stores it at every look."""

    add: list[str] = field(default_factory=list)
    request: list[str] = field(default_factory=list)
    give_up: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    memory: dict[str, Attempt] = field(default_factory=dict)


def decide_growth(
    listing: PoolListing,
    states: Mapping[str, ShardState],
    registered: Iterable[str],
    in_flight: Iterable[str],
    memory: Mapping[str, Attempt],
    now: float,
    settle_seconds: float,
) -> GrowthDecision:
    """The decision for one look at the pool.

    A file is taken once it looks the same as at the last look and hasn't been written for `settle_seconds`. A shard
    whose run failed is asked for again after a minute, then after four, and then put aside. What is stored of a shard,
    paid answers among it, goes only when its file has been away for a while.
    """
    known, busy = set(registered), set(in_flight)
    decision = GrowthDecision(notes=list(listing.problems))
    other_settings, unsettled, damages = 0, list[str](), dict[str, list[str]]()
    for shard, file in sorted(listing.shards.items()):
        state = states[shard]
        asks = not state.current and state.data_changed and not state.damages
        if shard in known and not asks and shard not in memory:
            if not state.current and state.needs_work and shard not in busy:
                other_settings += not state.damages
                _note(damages, state)
            continue
        version = file_version(file)
        before = memory.get(shard)
        attempt = before if before is not None and before.version == version else Attempt(version)
        if shard not in known or asks or (attempt.requests and not state.current):
            decision.memory[shard] = attempt
        settled = before is not None and before.version == version and now - file.mtime_ns / 1e9 >= settle_seconds
        if not settled:
            unsettled.append(file.path.name)
            continue
        if shard not in known:
            decision.add.append(shard)
        if shard in busy or not state.needs_work:
            continue
        if state.damages:
            # A run would only fail on it; and what to delete is for a person to decide.
            _note(damages, state)
        elif not state.data_changed:
            other_settings += 1
        elif attempt.requests >= MAX_ATTEMPTS:
            # Put aside, so that it doesn't hold up the reselection of the others for ever.
            decision.give_up.append(shard)
            decision.notes.append(f"{shard}: {attempt.requests} runs failed; put aside, see `adg status`")
        elif now >= attempt.not_before:
            wait = FIRST_RETRY_SECONDS * 4**attempt.requests
            decision.memory[shard] = Attempt(version, attempt.requests + 1, now + wait)
            decision.request.append(shard)
    for why, shards in damages.items():
        such = shards[0] if len(shards) == 1 else f"{len(shards):,} shards, such as {shards[0]}"
        decision.notes.append(f"{such}: {why}")
    if unsettled:
        such = f"{len(unsettled):,} files, such as {unsettled[0]}, are" if len(unsettled) > 1 else f"{unsettled[0]} is"
        decision.notes.append(f"waiting until {such} no longer written to")
    if other_settings:
        decision.notes.append(
            f"{other_settings} shards are stale because settings changed; start them with `adg run` or a backfill"
        )
    grace = GRACE_LOOKS * settle_seconds
    gone = sorted(known - set(listing.shards) - listing.unusable)
    if gone and not listing.shards:
        decision.notes.append(
            f"the pool directory is empty but {len(gone)} shards are registered: nothing is removed. "
            "If this is meant, delete the partitions of pool_shards"
        )
        return decision
    for shard in gone:
        before = memory.get(shard)
        attempt = before if before is not None and before.version == GONE else Attempt(GONE, 0, now + grace)
        if shard in busy:
            decision.notes.append(f"{shard}: its file is gone; removed when its run has ended")
        elif now < attempt.not_before:
            decision.notes.append(f"{shard}: its file is gone; removed if it doesn't come back")
        else:
            decision.remove.append(shard)
            attempt = Attempt(GONE, attempt.requests + 1, now + FIRST_RETRY_SECONDS)
        decision.memory[shard] = attempt
    return decision


def _note(damages: dict[str, list[str]], state: ShardState) -> None:
    for why in state.damages:
        damages.setdefault(why, []).append(state.shard)


def build_pool_growth_sensor(interval_seconds: int) -> dg.SensorDefinition:
    @dg.sensor(
        name="pool_growth_sensor",
        jobs=[shards_job, remove_shards_job],
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Registers new pool files as partitions, computes new and changed ones, removes what is gone.",
    )
    def pool_growth_sensor(context: dg.SensorEvaluationContext, store: Store) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = settings_in_force(store).settings
            # A listing that fails raises: it is not an empty pool.
            listing = list_shards(store.pool_dir)
            # Files that were copied or touched are hashed, once: after a look that Dagster stops the next one goes on.
            wanted = wanted_recipes(settings, **watched_reads(store, settings))
            states = shard_states(store, listing, wanted, look=store.look(keep=True))
        except (PipelineError, OSError, ValueError) as error:
            return dg.SkipReason(f"the pool can't be looked at: {error}")
        registered = context.instance.get_dynamic_partitions(pool_shards.name or "")
        memory = {shard: Attempt(**values) for shard, values in json.loads(context.cursor or "{}").items()}
        decision = decide_growth(
            listing,
            states,
            registered,
            shards_in_flight(context.instance),
            memory,
            time.time(),
            settings.sensors.settle_seconds,
        )
        for note in decision.notes:
            context.log.info(note)
        for shard in decision.give_up:
            asset = next(name for name, state in states[shard].assets.items() if state.state != "current")
            reason = f"{MAX_ATTEMPTS} runs failed; read the last one's log, then run `adg run --retry`"
            version = store.file_version(shard, listing.shards[shard])
            store.quarantine.put(asset, shard, reason, version, wanted[asset].id)
        run_config = settings.run_config(wanted)
        ordered = [*registered, *decision.add]
        requests = [
            dg.RunRequest(
                job_name=SHARDS_JOB,
                run_config=run_config,
                asset_selection=[dg.AssetKey(asset) for asset in wanted],
                tags={**GROWTH_PRIORITY, **range_tags(first, last)},
            )
            for first, last, _ in contiguous_ranges(decision.request, ordered, settings.sensors.max_shards_per_run)
        ]
        if decision.remove:
            requests.append(dg.RunRequest(job_name=REMOVE_SHARDS_JOB, run_config=removal_config(decision.remove)))
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else "; ".join(decision.notes) or "every shard is up to date",
            dynamic_partitions_requests=[pool_shards.build_add_request(decision.add)] if decision.add else [],
            cursor=json.dumps({shard: asdict(attempt) for shard, attempt in decision.memory.items()}),
        )

    return pool_growth_sensor
