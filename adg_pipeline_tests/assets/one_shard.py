"""One shard whose answers are drawn and whose references are scored, with a note of what the engine is asked for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from adg_pipeline.assets import generations, pool, references
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.generators.base import Generator, Passage, Scored
from adg_pipeline.settings.sections import GenerationConfig, RawPoolConfig, ReferenceLossConfig
from adg_pipeline.store import Store

SHARD = "a"
ANSWERS: dict[str, Any] = {"max_new_tokens": 8, "samples": 2, "device": "cpu"}

noted: list[str] = []


class Noting(GeneratorFactory):
    """Notes what is opened, drawn and scored."""

    @contextmanager
    def open(self, config: GenerationConfig) -> Iterator[Generator]:
        with super().open(config) as generator:
            noted.append("opened")
            draw, score = generator.generate, generator.score

            def generate(requests: Sequence[Any]) -> Iterator[Any]:
                noted.extend(["drawn"] * len(requests))
                return draw(requests)

            def scored(passages: Sequence[Passage], batch_size: int) -> Iterator[Scored]:
                noted.extend(["scored"] * len(passages))
                return score(passages, batch_size)

            generator.generate, generator.score = generate, scored  # type: ignore[method-assign]
            yield generator


class Shard:
    """One shard's assets, computed without a command line."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, answers: Mapping[str, Any] = ANSWERS) -> None:
        self._folder, self._answers = folder, dict(answers)
        self.configure()
        self.store = Store(data_dir=str(folder / "data"))
        self.store.pool_dir.mkdir(parents=True)
        self._instance = instance
        backfill, generation = dg.BackfillPolicy.multi_run(), GenerationConfig.model_validate(self._answers)
        self._assets = [
            pool.build(RawPoolConfig(), backfill),
            generations.build(generation, backfill),
            references.build(ReferenceLossConfig(), generation, backfill),
        ]

    def write(self, rows: list[dict[str, str]]) -> None:
        (self.store.pool_dir / f"{SHARD}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def configure(self, **losses: Any) -> None:
        """What adg.yaml says of reference losses."""
        (self._folder / "adg.yaml").write_text(json.dumps({"generations": self._answers, "reference_losses": losses}))

    def compute(self, *chosen: str) -> tuple[int, int]:
        """Answers drawn and passages scored."""
        noted.clear()
        resources = {"store": self.store, "generators": Noting(gpus=GpuLeaseResource())}
        assert dg.materialize(
            self._assets, instance=self._instance, partition_key=SHARD, resources=resources, selection=chosen or None
        ).success  # fmt: skip
        return noted.count("drawn"), noted.count("scored")

    @property
    def losses(self) -> pl.DataFrame:
        frame = pl.from_arrow(self.store.read_table("reference_losses", SHARD))
        assert isinstance(frame, pl.DataFrame)
        return frame
