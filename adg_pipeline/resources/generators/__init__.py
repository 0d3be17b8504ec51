"""Generators: engines that draw K stochastic answers per instruction, behind one interface.

`base` has the interface; `transformers`, `vllm` and `endpoint` are the engines; `shard` asks for a shard's answers and
`journal` keeps those that were paid for.
"""

from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.generators.resource import GeneratorFactory

__all__ = ["GeneratorFactory", "open_generator"]
