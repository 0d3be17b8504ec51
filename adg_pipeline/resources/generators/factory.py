"""The generator that a configuration names."""

from adg_pipeline.resources.generators.base import Generator
from adg_pipeline.settings.sections import GenerationConfig


def open_generator(config: GenerationConfig) -> Generator:
    """The generator of ``config.engine``, to be used as a context manager: ``with open_generator(config) as g:``.

    Nothing is loaded before the ``with`` is entered.
    """
    if config.engine == "vllm":
        from adg_pipeline.resources.generators.vllm import VllmGenerator

        return VllmGenerator(config)
    if config.engine == "endpoint":
        from adg_pipeline.resources.generators.endpoint import EndpointGenerator

        return EndpointGenerator(config)
    from adg_pipeline.resources.generators.transformers import TransformersGenerator

    return TransformersGenerator(config)
