"""Names of the jobs, and what Dagster's instance knows of their runs."""

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

import dagster as dg

from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.errors import EndAsked
from adg_pipeline.host.slurm import this_job
from adg_pipeline.lineage.states import SOURCES
from adg_pipeline.orchestration.instance import may_have_runs, open_instance
from adg_pipeline.orchestration.partitions import arm_seed_key, pool_shards
from adg_pipeline.settings.kept import spoken
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import SelectionConfig

SHARDS_JOB = "shards"
SELECTION_JOB = "selection"
CHECKPOINT_JOB = "checkpoint"
BENCHMARKS_JOB = "benchmarks"
COMPARISON_JOB = "comparison"
REMOVE_SHARDS_JOB = "remove_shards_job"

# Dagster's own tags (https://docs.dagster.io/guides/build/partitions-and-backfills).
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

SENSOR_TAG = "dagster/sensor_name"

# What adg.yaml said when a run was asked for; a run from the launchpad has none.
CONFIGURED_TAG = "adg/configured"

# The process that executes a run by itself, as `adg run` does, with its host (``HOST:PID``): one that dies before its run has
# started leaves no event, and the number of a process says nothing on another host.
PROCESS_TAG = "adg/process"
# The Slurm job that this process belongs to, if any: whoever can ask Slurm knows whether it lives.
SLURM_TAG = "adg/slurm_job"

# What a step says that ends because somebody wants its run to end.
STOPPED = "stopped by a signal; what was finished is kept"

IN_FLIGHT = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags of a run over a contiguous range of partitions; a range of one is a plain partition."""
    if first == last:
        return {PARTITION_TAG: first}
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def arm_seed_tags(arm: str, seed: int) -> dict[str, str]:
    """Tags of a run of a checkpoint, or of its results."""
    return {PARTITION_TAG: arm_seed_key(arm, seed), f"{PARTITION_TAG}/arm": arm, f"{PARTITION_TAG}/seed": str(seed)}


def selection_assets(config: SelectionConfig) -> list[dg.AssetKey]:
    """What a run that selects is made of: queries are read where the arm compares their states, and a model is loaded."""
    chooses = SELECTORS.get(config.selector)
    reads = ["query_states"] if chooses is not None and chooses.likeness else []
    return [dg.AssetKey(name) for name in ("semantic_bins", *reads, "selected_subset")]


def configured_tag(configured: Settings) -> dict[str, str]:
    """Tag of a run whose configuration is spelt out, with what adg.yaml gives of the sections that are kept."""
    return {CONFIGURED_TAG: json.dumps(spoken(configured), sort_keys=True)}


def process_tags() -> dict[str, str]:
    """Tags of a run that this process executes."""
    job = this_job()
    return {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}", **({SLURM_TAG: job} if job else {})}


def removal_config(shards: Sequence[str]) -> dict[str, Any]:
    """Run configuration of the job that removes shards."""
    return {"ops": {"remove_shards": {"config": {"shards": list(shards)}}}}


def shards_in_flight(instance: dg.DagsterInstance) -> set[str]:
    """Shards that a queued or running run computes, whoever started it: a sensor, a backfill, a page, the CLI."""
    ordered = list(instance.get_dynamic_partitions(pool_shards.name or ""))
    busy: set[str] = set()
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT)):
        if not _is_of(run, set(SOURCES), SHARDS_JOB):
            continue
        first = run.tags.get(RANGE_START_TAG) or run.tags.get(PARTITION_TAG)
        last = run.tags.get(RANGE_END_TAG) or first
        if first in ordered and last in ordered:
            busy.update(ordered[ordered.index(first) : ordered.index(last) + 1])
    return busy


def shards_in_flight_here() -> set[str]:
    """Likewise of the command line's own instance, which isn't opened where there is nothing to be seen."""
    if not may_have_runs(IN_FLIGHT):
        return set()
    with open_instance(create=False) as instance:
        return shards_in_flight(instance)


def selections_in_flight(instance: dg.DagsterInstance) -> int:
    """Queued or running runs that fit bins or select."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=IN_FLIGHT))
    return sum(_is_of(run, {"semantic_bins", "query_states", "selected_subset"}, SELECTION_JOB) for run in runs)


def _is_of(run: dg.DagsterRun, assets: set[str], job_name: str) -> bool:
    if run.job_name == job_name:
        return True
    return any(key.to_user_string() in assets for key in run.asset_selection or ())


def is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether a failure is Dagster's way of saying that somebody pressed Ctrl-C."""
    data = event.event_specific_data
    told = f"{getattr(data, 'error', '')} {getattr(data, 'user_failure_data', '')}"
    return any(word in told for word in (STOPPED, "DagsterExecutionInterruptedError", EndAsked.__name__))
