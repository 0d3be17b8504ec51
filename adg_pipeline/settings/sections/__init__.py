"""Every knob of the pipeline, one section per stage, a module each: types, units, defaults and bounds.

A section is a `dagster.Config`, so the launchpad shows its fields with their descriptions; the same section is read
from ``adg.yaml`` (see `adg_pipeline.settings.loading`). Defaults are those of the paper where it names one.

Fields listed in a section's ``RECIPE`` decide what the stage computes. They enter the provenance of what is stored: a
change makes it stale. The others (batch sizes, devices, time limits) may change without recomputing anything.

This package imports no model library and nothing of the pipeline.
"""

from adg_pipeline.settings.sections.base import Device, DType, Section
from adg_pipeline.settings.sections.bins import BinConfig
from adg_pipeline.settings.sections.comparison import ComparisonConfig
from adg_pipeline.settings.sections.curation import CurationConfig
from adg_pipeline.settings.sections.embeddings import EmbeddingConfig
from adg_pipeline.settings.sections.engines import EndpointOptions, VllmOptions
from adg_pipeline.settings.sections.evaluation import EvaluationConfig
from adg_pipeline.settings.sections.fingerprints import FingerprintConfig
from adg_pipeline.settings.sections.generations import Engine, GenerationConfig, Template
from adg_pipeline.settings.sections.pool import MAPPABLE, AskedTurn, IdScope, PoolFormat, RawPoolConfig
from adg_pipeline.settings.sections.references import ReferenceLossConfig
from adg_pipeline.settings.sections.scores import ScoreConfig
from adg_pipeline.settings.sections.selection import SelectionConfig
from adg_pipeline.settings.sections.sensors import SensorConfig
from adg_pipeline.settings.sections.template_options import TemplateOptions
from adg_pipeline.settings.sections.training import TrainingConfig

__all__ = [
    "MAPPABLE",
    "AskedTurn",
    "BinConfig",
    "ComparisonConfig",
    "CurationConfig",
    "DType",
    "Device",
    "EmbeddingConfig",
    "EndpointOptions",
    "Engine",
    "EvaluationConfig",
    "FingerprintConfig",
    "GenerationConfig",
    "IdScope",
    "PoolFormat",
    "RawPoolConfig",
    "ReferenceLossConfig",
    "ScoreConfig",
    "Section",
    "SelectionConfig",
    "SensorConfig",
    "Template",
    "TemplateOptions",
    "TrainingConfig",
    "VllmOptions",
]
