"""A sample's answers embedded, with the watch on it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from adg_pipeline.algorithms.costs import ANSWERS, INSTRUCTIONS, SCORES
from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.models.devices import cpu
from adg_pipeline.orchestration.planning.watch import Watch, opened
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.factories import EmbedderFactory
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import EmbeddingConfig
from adg_pipeline.store.provenance import Provenance, Recipe, make_provenance
from adg_pipeline.store.vectors import VectorTables, vector_batch

WARM_UP = 2  # examples before the watch starts


@dataclass(frozen=True)
class Embedded:
    """cosines: (N, K, K) of each example's answers. dimension: of their vectors."""

    cosines: np.ndarray
    dimension: int


def embed(
    settings: Settings, config: EmbeddingConfig, answered: pl.DataFrame, watch: Watch, say: Callable[[str], None]
) -> Embedded:
    """The answers as this embedder has them. answered: rows with instruction, input, answers and output_tokens."""
    asked = [user_turn(*texts) for texts in answered.select("instruction", "input").iter_rows()]
    answers: list[list[str]] = answered["answers"].to_list()
    backbone = settings.generations.backbone, settings.generations.revision
    with opened(EmbedderFactory(gpus=GpuLeaseResource()).open(config, *backbone), watch, ANSWERS) as embedder:
        embedder.embed_answers(asked[:WARM_UP], answers[:WARM_UP])
        began = time.monotonic()
        vectors = embedder.embed_answers(asked, answers, ProgressLog(say, "embedding the sample", "answers"))
        seconds = time.monotonic() - began
        to_write, to_read = _storing(answered["example_id"].to_list(), vectors)
        tokens = sum(one or 0 for row in answered["output_tokens"].to_list() for one in row)
        watch.note(ANSWERS, tokens, seconds, embedder.hardware, ANSWERS, to_write)
        began = time.monotonic()
        embedder.embed_instructions(answered["instruction"].to_list())
        watch.note(INSTRUCTIONS, len(asked), time.monotonic() - began, embedder.hardware, ANSWERS, to_write)
        dimension = embedder.dimension
    began = time.monotonic()
    cosines = answer_divergence(vectors).cosines
    watch.note(SCORES, vectors.shape[0] * vectors.shape[1], time.monotonic() - began, cpu(), of_shard=to_read)
    return Embedded(cosines, dimension)


def _storing(ids: Sequence[str], vectors: np.ndarray) -> tuple[float, float]:
    """Seconds to write a shard's vectors, and to read them."""
    with TemporaryDirectory() as folder:
        tables = VectorTables(Path(folder))
        began = time.monotonic()
        for shard in ("first", "sample"):  # the first one makes the table, and loads what that needs
            began = time.monotonic()
            made_as = make_provenance(Recipe(ANSWERS, "", {}), shard, {}, len(ids))
            batches = iter([vector_batch(shard, ids, vectors)])
            tables.write(ANSWERS, shard, vectors.shape[2], batches, partial(_same, made_as))
        written = time.monotonic()
        for _ in tables.read(ANSWERS, "sample"):
            pass
        return written - began, time.monotonic() - written


def _same(made_as: Provenance) -> Provenance:
    return made_as
