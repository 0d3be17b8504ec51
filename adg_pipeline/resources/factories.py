"""Resources that open a model for a step, on GPUs leased for as long as it is open.

The model libraries are imported when a model is opened, after the lease has set CUDA_VISIBLE_DEVICES. Tests replace these
resources by subclasses.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.host.signals import signals_held
from adg_pipeline.resources.embedders import Embedder, open_embedder
from adg_pipeline.resources.generators.base import Generator
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.settings.sections import EmbeddingConfig, GenerationConfig


class GeneratorFactory(dg.ConfigurableResource):
    """Opens the generator that a configuration names."""

    gpus: dg.ResourceDependency[GpuLeaseResource]

    @contextmanager
    def open(self, config: GenerationConfig) -> Iterator[Generator]:
        with self.gpus.lease(config.gpus_needed), _no_progress_bars(), open_generator(config) as generator:
            yield generator


class EmbedderFactory(dg.ConfigurableResource):
    """Opens the embedder that a configuration names."""

    gpus: dg.ResourceDependency[GpuLeaseResource]

    @contextmanager
    def open(self, config: EmbeddingConfig, backbone: str, revision: str | None = None) -> Iterator[Embedder]:
        """backbone: that of the generations, which `model: auto` of hidden_state means."""
        with (
            self.gpus.lease(config.gpus_needed),
            _no_progress_bars(),
            open_embedder(config, backbone, revision) as embedder,
        ):
            yield embedder


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """The model libraries' bars would flood the event log, which has lines of our own instead."""
    with signals_held():
        # All that the engines load of it, so that nobody is interrupted while it loads.
        import transformers.modeling_utils  # noqa: F401
        from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()
