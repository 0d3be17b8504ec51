"""The generations asset, run through Dagster, against the bare generator call with the same 500 × 5 requests.

The model is opened once, outside the clock: measured is what the asset adds around the engine's own work (prompts, seeds,
the journal of paid answers, the table, its provenance and metadata, Dagster's step).
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import dagster as dg

from adg_pipeline.assets import generations, pool
from adg_pipeline.demo.pool import pool_records
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.generators.base import Answer, AnswerError, AnswerRequest, Generator
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.settings.sections import GenerationConfig, RawPoolConfig
from adg_pipeline.store import Store
from benchmarks.result import Result, arguments, report

EXAMPLES, SHARD, REPEATS = 1000, "bench", 3
Outcomes = Iterator[tuple[AnswerRequest, Answer | AnswerError]]

#: What `AlreadyOpen` hands out. Dagster copies resources, so it can't be a field.
open_generators: list[Generator] = []
_asked: list[AnswerRequest] = []


class AlreadyOpen(GeneratorFactory):
    """Hands out the one open generator and notes what it is asked."""

    @contextmanager
    def open(self, config: GenerationConfig) -> Iterator[Generator]:
        generator = open_generators[0]
        ask = generator.generate

        def generate(requests: Sequence[AnswerRequest]) -> Outcomes:
            _asked[:] = requests
            return ask(requests)

        generator.generate = generate  # type: ignore[method-assign]
        yield generator
        generator.generate = ask  # type: ignore[method-assign]


def run(backbone: str = "embedded", engine: str = "transformers", max_new_tokens: int = 64) -> list[Result]:
    config = GenerationConfig.model_validate({"backbone": backbone, "engine": engine, "max_new_tokens": max_new_tokens})
    asset = generations.build(config, dg.BackfillPolicy.multi_run())
    through_asset = bare = float("inf")
    with (
        tempfile.TemporaryDirectory() as folder,
        dg.DagsterInstance.ephemeral() as instance,
        open_generator(config) as generator,
    ):
        open_generators[:] = [generator]
        instance.add_dynamic_partitions("pool_shards", [SHARD])
        records = Path(folder) / "pool.jsonl"
        records.write_text("".join(json.dumps(record) + "\n" for record in islice(pool_records(seed=0), EXAMPLES)))
        for repeat in range(REPEATS):  # in turn, so that whatever else runs meets both alike
            store = Store(data_dir=f"{folder}/{repeat}")
            read_pool(store, instance, records)
            resources = {"store": store, "generators": AlreadyOpen(gpus=GpuLeaseResource())}
            started = time.perf_counter()
            dg.materialize([asset], instance=instance, partition_key=SHARD, resources=resources)
            through_asset = min(through_asset, time.perf_counter() - started)
            started = time.perf_counter()
            for _ in generator.generate(list(_asked)):
                pass
            bare = min(bare, time.perf_counter() - started)
    answers = EXAMPLES * config.samples
    return [
        Result(
            name="generations asset",
            figure=answers / through_asset,
            baseline=answers / bare,
            unit="answers/s",
            goal=0.97,
            note=f"{EXAMPLES} x {config.samples}, at most {max_new_tokens} tokens; overhead {through_asset / bare - 1:.1%}",
        )
    ]


def read_pool(store: Store, instance: dg.DagsterInstance, records: Path) -> None:
    """Put the pool file into the store and read it, through the asset that does."""
    store.pool_dir.mkdir(parents=True)
    shutil.copyfile(records, store.pool_dir / f"{SHARD}{records.suffix}")
    asset = pool.build(RawPoolConfig(), dg.BackfillPolicy.multi_run())
    dg.materialize([asset], instance=instance, partition_key=SHARD, resources={"store": store})


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--backbone", default="embedded", help="a directory, a hub name, or 'embedded'")
    parser.add_argument("--engine", default="transformers", choices=["transformers", "vllm"])
    parser.add_argument("--max-new-tokens", type=int, default=64)
    options = parser.parse_args()
    report(run(options.backbone, options.engine, options.max_new_tokens), as_json=options.json)
