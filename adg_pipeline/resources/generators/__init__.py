"""Generators: engines that draw K stochastic answers per instruction, behind one interface.

`base` has the interface; `transformers`, `vllm` and `endpoint` are the engines; `shard` asks for a shard's answers and
`journal` keeps those that were paid for.
"""
