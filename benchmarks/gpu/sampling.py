"""Sampling: the engine bare, and the generations asset over it, in the same engine.

The bare call is what vLLM does fastest: no seeds, no log-probabilities, K samples of a prompt asked for at once. Each line
adds one thing that we need. The prefix cache is emptied before each.
"""

import tempfile
import time
from collections.abc import Callable
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from adg_pipeline.assets import generations
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig, VllmOptions
from adg_pipeline.store import Store
from benchmarks.generations import SHARD, AlreadyOpen, open_generators, read_pool
from benchmarks.gpu.place import Place, gpu_busy

K, SEED = 5, 42


def run(place: Place, runner: str) -> None:
    """runner: v1 or v2, vLLM's model runners."""
    config = GenerationConfig(
        engine="vllm",
        backbone=place.backbone(),
        samples=K,
        max_new_tokens=place.new_tokens,
        vllm=VllmOptions(max_model_len=2048),
    )
    started = time.perf_counter()
    with open_generator(config) as generator:
        place.found(name=f"engine ready, {runner}", figure=time.perf_counter() - started, unit="s")
        llm: Any = generator._llm  # type: ignore[attr-defined]
        assert generator.template is not None
        records = place.raw.to_pylist()
        prompts = [generator.render(row["instruction"], row["input"], row["messages"], row["tools"]) for row in records]
        ids = generator.template.encode(prompts)
        tokens = len(prompts) * K * place.new_tokens

        _bare(llm, ids[:32], 16)  # kernels are compiled at first use
        unseeded = _tokens_a_second(llm, tokens, lambda: _bare(llm, ids, place.new_tokens))
        place.found(name=f"bare, {runner}", figure=unseeded, unit="tokens/s", note=f"{len(ids)} x {K}, n={K}, unseeded")
        seeded = _tokens_a_second(llm, tokens, lambda: _bare(llm, ids, place.new_tokens, seeded=True))
        place.found(
            name=f"bare, seeded, {runner}", figure=seeded, baseline=unseeded, unit="tokens/s", goal=0.97,
            note="a request and a seed for each sample",
        )  # fmt: skip
        told = _tokens_a_second(llm, tokens, lambda: _bare(llm, ids, place.new_tokens, seeded=True, logprobs=0))
        place.found(
            name=f"bare, seeded, log-probabilities, {runner}", figure=told, baseline=unseeded, unit="tokens/s",
            note="as vLLM gives them: every token is decoded by itself too",
        )  # fmt: skip

        open_generators[:] = [generator]
        with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral() as instance, gpu_busy() as busy:
            instance.add_dynamic_partitions("pool_shards", [SHARD])
            store = Store(data_dir=folder)
            read_pool(store, instance, place.records)
            asset = generations.build(config, dg.BackfillPolicy.multi_run())
            resources = {"store": store, "generators": AlreadyOpen(gpus=GpuLeaseResource())}
            ours = _tokens_a_second(
                llm,
                tokens,
                lambda: dg.materialize([asset], instance=instance, partition_key=SHARD, resources=resources),
            )
            answers = store.read_table("generations", SHARD)
        place.found(
            name=f"generations asset, {runner}", figure=ours, baseline=unseeded, unit="tokens/s", goal=0.97,
            note=f"through Dagster, seeded, log-probabilities; {busy}; {place.examples / (tokens / ours):.1f} examples/s",
        )  # fmt: skip
        pq.write_table(answers, place.answers)
        llm.reset_prefix_cache()
        started = time.perf_counter()
        _, facts = score_references(place.raw, answers, generator, ReferenceLossConfig())
        place.found(
            name=f"reference_losses, {runner}", figure=place.examples / (time.perf_counter() - started),
            baseline=place.examples / (tokens / ours), unit="examples/s",
            note=f"{facts['reference_tokens']:,} reference tokens, {facts['failed']} failed; beside those of generations",
        )  # fmt: skip


def _tokens_a_second(llm: Any, tokens: int, work: Callable[[], object]) -> float:
    llm.reset_prefix_cache()
    started = time.perf_counter()
    work()
    return tokens / (time.perf_counter() - started)


def _bare(llm: Any, ids: list[list[int]], new_tokens: int, seeded: bool = False, logprobs: int | None = None) -> None:
    from vllm import SamplingParams, TokensPrompt

    how = {"temperature": 1.4, "top_p": 0.9, "top_k": 50, "max_tokens": new_tokens, "logprobs": logprobs}
    prompts = [TokensPrompt(prompt_token_ids=list(one)) for one in ids]
    if not seeded:
        outputs = llm.generate(prompts, SamplingParams(n=K, **how), use_tqdm=False)
    else:
        each = [(prompt, SamplingParams(seed=SEED + K * row + k, **how)) for row, prompt in enumerate(prompts)
                for k in range(K)]  # fmt: skip
        outputs = llm.generate([prompt for prompt, _ in each], [how for _, how in each], use_tqdm=False)
    made = sum(len(one.token_ids) for output in outputs for one in output.outputs)
    if made != len(ids) * K * new_tokens:
        raise RuntimeError(f"{made} tokens were made, not {len(ids) * K * new_tokens}")
