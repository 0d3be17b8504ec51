"""Tiny shards and all that is stored of them, through the product's own writers; what a model would say is drawn."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.formats.convert import ConversionSummary, convert
from adg_pipeline.formats.shards import ShardFile, file_version
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.resources.generators.schema import GENERATIONS_SCHEMA
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance
from adg_pipeline.store.tables import PROVENANCE_KEY
from adg_pipeline.store.vectors import vector_batch

ROWS, SAMPLES, DIMENSION = 4, 5, 128  # as the embedded backbone has it


def pool_file(store: Store, number: int) -> Path:
    """A file of `ROWS` examples in the pool directory; the same for the same number."""
    path = store.pool_dir / f"part-{number:06}.jsonl"
    if not path.exists():
        lines = [
            {"instruction": f"Question {number}-{row}: what is {number} plus {row}?", "output": f"{number + row}"}
            for row in range(ROWS)
        ]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        temporary.replace(path)
    return path


class ShardWriter:
    """Writes what the stages would write of a shard under these settings."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._recipes = wanted_recipes(settings)
        self._random = np.random.default_rng(0)

    def write(self, path: Path) -> None:
        """Every table of a pool file's shard, in the data's order."""
        shard = path.stem
        raw = self._raw_pool(path)
        frame = pl.from_arrow(self._store.read_table("raw_pool", shard))
        assert isinstance(frame, pl.DataFrame)
        ids = frame["example_id"].to_list()
        generations = self._provenance("generations", shard, {"raw_pool": raw.content}, len(ids))
        self._store.write_table(self._answers(ids), generations)
        vectors = self._random.standard_normal((len(ids), SAMPLES, DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        answers = self._vectors("answer_embeddings", shard, {"generations": generations.content}, ids, vectors)
        self._vectors("instruction_embeddings", shard, {"raw_pool": raw.content}, ids, vectors[:, :1])
        scores = self._provenance("divergence_scores", shard, {"answer_embeddings": answers.content}, len(ids))
        self._store.write_table(_scores(frame, vectors), scores)

    def _raw_pool(self, path: Path) -> Provenance:
        status = path.stat()
        version = file_version(ShardFile(path, status.st_size, status.st_mtime_ns))
        made: list[Provenance] = []

        def stamp(summary: ConversionSummary) -> dict[str, str]:
            facts = {
                "file": path.name, "format": summary.format, "read": summary.read, "rejected": summary.rejected,
                "reasons": summary.reasons, "named_ids": summary.named_ids, "sha256": summary.sha256,
            }  # fmt: skip
            recipe, content = self._recipes["raw_pool"], summary.content_fingerprint
            made.append(make_provenance(recipe, path.stem, {"file": version}, summary.accepted, content, facts))
            return {PROVENANCE_KEY.decode(): made[0].to_json()}

        table, rejects = self._store.table_path("raw_pool", path.stem), self._store.rejects_path(path.stem)
        convert(path, table, rejects, self._settings.raw_pool, metadata=stamp)
        return made[0]

    def _answers(self, ids: list[str]) -> pa.Table:
        rows = [
            {
                "example_id": example,
                "status": "ok",
                "reason": None,
                "prompt_tokens": 12,
                "answers": [f"answer {sample}" for sample in range(SAMPLES)],
                "finish_reasons": ["stop"] * SAMPLES,
                "output_tokens": [3] * SAMPLES,
                "output_logprobs": [-1.0] * SAMPLES,
                "seeds": list(range(SAMPLES)),
                "request_ids": [f"{example}-{sample}" for sample in range(SAMPLES)],
            }
            for example in ids
        ]
        return pa.Table.from_pylist(rows, schema=GENERATIONS_SCHEMA)

    def _vectors(
        self, asset: str, shard: str, inputs: dict[str, str], ids: list[str], vectors: np.ndarray
    ) -> Provenance:
        def provenance() -> Provenance:
            facts = {
                "dimension": DIMENSION, "examples": len(ids), "not_finite": 0, "not_finite_ids": [],
                "unreadable_examples": 0, "unreadable_ids": [], "seconds": 0.1, "hardware": "none",
            }  # fmt: skip
            return make_provenance(
                self._recipes[asset], shard, inputs, vectors.shape[0] * vectors.shape[1], facts=facts
            )

        batches = [vector_batch(shard, ids, vectors)]
        return self._store.vectors.write(asset, shard, DIMENSION, batches, provenance)

    def _provenance(self, asset: str, shard: str, inputs: dict[str, str], rows: int) -> Provenance:
        facts = {"seconds": 0.1, "hardware": "none", "scored": rows, "unscored": 0}
        return make_provenance(self._recipes[asset], shard, inputs, rows, facts=facts)


def _scores(raw: pl.DataFrame, vectors: np.ndarray) -> pa.Table:
    found = answer_divergence(vectors).rounded(6)
    count = raw.height
    return pl.DataFrame(
        {
            "example_id": raw["example_id"],
            "content_hash": raw["content_hash"],
            "source": raw["source"],
            "output_chars": raw["output"].str.len_chars().cast(pl.Int32),
            "reason": pl.Series([None] * count, dtype=pl.String),
            "empty_answers": pl.Series([0] * count, dtype=pl.Int32),
            "distinct_answers": pl.Series([SAMPLES] * count, dtype=pl.UInt32),
            "answer_tokens": pl.Series([3.0] * count),
            "dispersion": found.dispersion,
            "anisotropy": found.anisotropy,
            "effective_rank": found.effective_rank,
            "largest_mode_share": found.largest_mode_share,
            "modes": pl.Series(found.modes, dtype=pl.Int32),
            "eigenvalues": found.eigenvalues.tolist(),
            "mode_sizes": found.mode_sizes.tolist(),
            "cosines": found.cosines.reshape(count, -1).astype(np.float32).tolist(),
        }
    ).to_arrow()
