"""The code location: `defs` is what Dagster loads, `build_defs` makes one with other settings or resources.

Importing this module loads no model library: a resource imports what it needs when a step uses it.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from adg_pipeline.assets import bins, embeddings, generations, pool, scores, selection, training
from adg_pipeline.checks import CHECKS
from adg_pipeline.console import LOGGERS
from adg_pipeline.jobs import JOBS
from adg_pipeline.resources.factories import EmbedderFactory, GeneratorFactory
from adg_pipeline.resources.gpu_leases import GpuLeaseResource
from adg_pipeline.resources.store import Store, default_data_dir
from adg_pipeline.sensors import build_pool_growth_sensor, build_reselection_sensor
from adg_pipeline.settings import Settings, load_settings


def build_defs(settings: Settings | None = None, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Definitions with these settings (by default those of ``adg.yaml``).

    resource_overrides: resources by name (store, generators, embedders, gpus) in place of the real ones.
    """
    settings = settings or load_settings()
    per_run = dg.BackfillPolicy.multi_run(max_partitions_per_run=settings.sensors.max_shards_per_run)
    gpus = GpuLeaseResource()
    backbone, revision = settings.generations.backbone, settings.generations.revision
    resources = {
        "store": Store(data_dir=default_data_dir()),
        "generators": GeneratorFactory(gpus=gpus),
        "embedders": EmbedderFactory(gpus=gpus, backbone=backbone, revision=revision),
        "gpus": gpus,
        **(resource_overrides or {}),
    }
    interval = settings.sensors.interval_seconds
    return dg.Definitions(
        assets=[
            pool.build(settings.raw_pool, per_run),
            *embeddings.build(settings.embeddings, per_run),
            generations.build(settings.generations, per_run),
            scores.build(settings.divergence_scores, per_run),
            bins.build(settings.semantic_bins),
            selection.build(settings.selected_subset),
            training.build(settings.finetuned_checkpoint, settings.generations),
        ],
        asset_checks=CHECKS,
        jobs=JOBS,
        sensors=[build_pool_growth_sensor(interval), build_reselection_sensor(interval)],
        loggers=LOGGERS,
        resources=resources,
    )


defs = build_defs()


# What a run's worker process imports to find its job again.
def shards() -> dg.JobDefinition:
    return defs.resolve_job_def("shards")


def selection_of_subset() -> dg.JobDefinition:
    return defs.resolve_job_def("selection")


def checkpoint() -> dg.JobDefinition:
    return defs.resolve_job_def("checkpoint")
