"""The whole graph, with its jobs, sensors and resources.

Importing this module loads no model library, since a resource imports what it needs when a step uses it, and reads nothing:
step processes are forked from one that has done so.
"""

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg

from adg_pipeline.assets import (
    bins,
    comparison,
    embeddings,
    evaluation,
    fingerprints,
    generations,
    pool,
    queries,
    references,
    scores,
    selection,
    tokens,
    training,
)
from adg_pipeline.assets.checks import CHECKS
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.orchestration.console import LOGGERS
from adg_pipeline.orchestration.jobs import JOBS
from adg_pipeline.orchestration.pool_waits import wait_for_pools_idly
from adg_pipeline.orchestration.sensors import (
    build_pool_growth_sensor,
    build_reselection_sensor,
    build_run_health_sensor,
)
from adg_pipeline.orchestration.step_processes import steps_in_processes
from adg_pipeline.resources.factories import EmbedderFactory, GeneratorFactory
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store, default_data_dir

# Dagster says at each use that backfill policies and owners of sensors are beta; a user can do nothing about it.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
wait_for_pools_idly()


def build_defs(
    settings: Settings | None = None,
    resource_overrides: Mapping[str, Any] | None = None,
    executor: dg.ExecutorDefinition = steps_in_processes,
) -> dg.Definitions:
    """Definitions with these settings (by default those of ``adg.yaml`` and what is kept of earlier runs).

    resource_overrides: resources by name (store, generators, embedders, gpus) in place of the real ones. executor: what
    runs the steps of a run (https://docs.dagster.io/guides/operate/run-executors).
    """
    settings = settings or settings_in_force(Store(data_dir=default_data_dir())).settings
    return dg.Definitions(
        assets=_assets(settings),
        asset_checks=CHECKS,
        jobs=JOBS,
        sensors=[
            build_pool_growth_sensor(settings.sensors.interval_seconds),
            build_reselection_sensor(settings.sensors.interval_seconds),
            build_run_health_sensor(settings.sensors.interval_seconds),
        ],
        executor=executor,
        loggers=LOGGERS,
        resources={**_resources(), **(resource_overrides or {})},
    )


def _assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """In the order of the data."""
    per_run = dg.BackfillPolicy.multi_run(max_partitions_per_run=settings.sensors.max_shards_per_run)
    return [
        pool.build(settings.raw_pool, per_run),
        *embeddings.build(settings.embeddings, settings.generations, per_run),
        generations.build(settings.generations, per_run),
        references.build(settings.reference_losses, settings.generations, per_run),
        fingerprints.build(settings.fingerprints, per_run),
        tokens.build(settings.generations, per_run),
        scores.build(settings.divergence_scores, per_run),
        bins.build(settings.semantic_bins),
        queries.build(settings.reference_losses, settings.generations),
        selection.build(settings.selected_subset),
        training.build(settings.finetuned_checkpoint, settings.generations),
        evaluation.build(settings.benchmark_results),
        comparison.build(settings),
    ]


def _resources() -> dict[str, Any]:
    gpus = GpuLeaseResource()
    return {
        "store": Store(data_dir=default_data_dir()),
        "generators": GeneratorFactory(gpus=gpus),
        "embedders": EmbedderFactory(gpus=gpus),
        "gpus": gpus,
    }


@lru_cache(maxsize=4)
def job_for_run(name: str, data_dir: str, settings: str, in_process: bool) -> dg.JobDefinition:
    """A job with the settings (JSON), data directory and executor that `adg` was called with.

    A run's worker processes make the job again by calling this, so that an option of the command line reaches them.
    Dagster asks for it several times a run.
    """
    overrides = {"store": Store(data_dir=data_dir)}
    executor = dg.in_process_executor if in_process else steps_in_processes
    return build_defs(Settings.model_validate_json(settings), overrides, executor).resolve_job_def(name)
