"""Embedder on the backbone's own hidden states: the paper's pooling, in batches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adg_pipeline.models.backbones import loading_revision, resolve_backbone
from adg_pipeline.models.devices import hardware, pick_device
from adg_pipeline.models.fingerprints import model_fingerprint
from adg_pipeline.models.tokenizers import load_tokenizer
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
from adg_pipeline.resources.embedders.token_weights import TokenWeights
from adg_pipeline.resources.embedders.windows import Window, batches, windows_of

logger = logging.getLogger(__name__)

# Tokens in a batch, padding included. On a CPU the states of more leave its caches, which costs more than it saves; a
# GPU is kept busy long before.
MOST_TOKENS_CPU = 1024
MOST_TOKENS_GPU = 32_768


@dataclass(frozen=True)
class _Pooled:
    """Vectors of windows, (W, d) at unit length, and the weight of each: its tokens' weights times its mean's length."""

    vectors: Vectors
    weights: NDArray[np.float64]


class HiddenStateEmbedder(Embedder):
    """Weighted mean over tokens of the mean of some hidden layers, at unit length.

    Weights are those of `token_weights`. Instructions are pooled over the instruction alone, answers by ``pool``:

    - ``"answer"``: over the answer's tokens, read after ``instruction + " "``. An instruction that doesn't fit in the
      window with its answer loses its beginning. An empty or blank answer is a zero vector.
    - ``"sequence"``: over ``instruction + " " + answer``, as the released code does. An empty answer is then the vector
      of its instruction, as in that code; a zero vector only where both are blank.

    A text longer than ``max_tokens`` is read in windows of that length. Each after the first begins with what stands
    before it (a quarter of the window), which gives context and isn't pooled: so every token is pooled once, and the
    vector is the same weighted mean over all tokens. With ``long_texts="cut"`` there is one window: a text loses its end,
    but with ``pool="answer"`` the beginning of its instruction first.

    No special tokens are added. A text of nothing but punctuation, whose weights are all 0, is a zero vector.

    Args:
        model: directory or hub name of a decoder, or 'embedded'.
        layers: indices into the hidden states: 0 is the token embedding, i the output of layer i, -1 the last layer's
            after the final norm. Layers above the highest one asked for are not run.
        pool: what an answer's vector is pooled over.
        revision: revision of a hub model.
        max_tokens: tokens that are read at a time; the model's own limit if that is lower.
        long_texts: windows or cut, see above; None is windows, but cut with ``pool="sequence"``, as in the released code.
        batch_size: most texts per forward pass; like lengths share one. Halved where the GPU can't hold them.
        device: auto, cpu, cuda, cuda:1, mps.
        dtype: type of the weights; auto is float32 on a CPU, and what the model was saved in elsewhere. Pooling is in
            float32.

    Raises (on opening):
        EmbedderError: the model has no such layer, or its tokenizer doesn't tell where in the text its tokens lie.
    """

    def __init__(
        self,
        model: str,
        layers: Sequence[int] = (-4, -3, -2),
        pool: Literal["answer", "sequence"] = "answer",
        *,
        revision: str | None = None,
        max_tokens: int = 1024,
        long_texts: LongTexts | None = None,
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        if pool not in ("answer", "sequence"):
            raise ValueError(f"pool is {pool!r}: choose answer or sequence")
        if not layers:
            raise EmbedderError("layers is empty: name the hidden layers to average, such as -4, -3, -2")
        self._name, self._revision = str(model), revision
        self._layers, self._pool, self._max_tokens = tuple(layers), pool, max_tokens
        self._long_texts = long_texts or ("cut" if pool == "sequence" else "windows")
        self._batch_size, self._device, self._dtype = batch_size, device, dtype
        self._model: Any = None

    def open(self) -> None:
        if self._model is not None:
            return
        import torch
        from transformers import AutoModelForCausalLM

        path, device = resolve_backbone(self._name, self._revision), pick_device(self._device)
        self.hardware = hardware(device)
        self._tokenizer = _tokenizer_of_file(path, self._revision)
        if not self._tokenizer.is_fast:
            raise EmbedderError(f"{self._name} has no fast tokenizer, which tells where in the text its tokens lie")
        self._token_weights, self._unknown = TokenWeights(self._tokenizer), unknown_token(self._tokenizer)
        dtype = ("float32" if device == "cpu" else "auto") if self._dtype == "auto" else self._dtype
        model: Any = AutoModelForCausalLM.from_pretrained(
            path,
            revision=loading_revision(path, self._revision),
            use_safetensors=True,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
        ).base_model  # no logits are wanted
        config = model.config.get_text_config()
        self._hidden_layers = _resolve_layers(self._layers, config.num_hidden_layers, self._name)
        self._longest = min(self._max_tokens, getattr(config, "max_position_embeddings", self._max_tokens))
        self._dimension = int(config.hidden_size)
        _drop_layers_above(model, max(1, *self._hidden_layers))
        self._model = model.to(device).eval()

    def close(self) -> None:
        if self._model is not None:
            self._model = None
            free_gpu_memory()

    @property
    def dimension(self) -> int:
        self.open()
        return self._dimension

    def fingerprint(self) -> dict[str, Any]:
        path = resolve_backbone(self._name, self._revision)
        return {
            "embedder": "hidden_state",
            "model": model_fingerprint(path, self._revision),
            "layers": list(self._layers),
            "pool": self._pool,
            "max_tokens": self._max_tokens,
            "long_texts": self._long_texts,
        }

    def embed_answers(
        self, instructions: Sequence[str], answers: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> Vectors:
        k = answers_per_instruction(instructions, answers)
        pairs = [(asked, answer) for asked, drawn in zip(instructions, answers, strict=True) for answer in drawn]
        if self._pool == "answer":
            vectors, reading = embed_distinct(pairs, lambda distinct: self._embed_in_context(distinct, progress))
        else:
            joined = [f"{asked} {answer}" for asked, answer in pairs]
            vectors, reading = embed_distinct(joined, lambda distinct: self._embed_whole(distinct, progress))
        self.reading = reading.reshape(len(instructions), k)
        return vectors.reshape(len(instructions), k, self.dimension)

    def embed_instructions(self, instructions: Sequence[str], progress: Progress | None = None) -> Vectors:
        stripped = [instruction.strip() for instruction in instructions]
        vectors, self.reading = embed_distinct(stripped, lambda distinct: self._embed_whole(distinct, progress))
        return vectors

    def _embed_whole(self, texts: list[str], progress: Progress | None) -> tuple[Vectors, Reading]:
        return self._embed([("", text) for text in texts], progress)

    def _embed_in_context(self, pairs: list[tuple[str, str]], progress: Progress | None) -> tuple[Vectors, Reading]:
        return self._embed([(f"{asked} ", answer) for asked, answer in pairs], progress)

    def _embed(self, pairs: list[tuple[str, str]], progress: Progress | None) -> tuple[Vectors, Reading]:
        """Vectors of the second text of each pair, read after the first."""
        self.open()
        reading = Reading.of([text for _, text in pairs])
        written = [row for row, (_, text) in enumerate(pairs) if text.strip()]
        windows = []
        for row, (ids, offsets) in zip(written, self._tokenize(["".join(pairs[row]) for row in written]), strict=True):
            # The token that holds the space between the two also holds the answer's first letters, in most vocabularies.
            context = len(pairs[row][0])
            first = int(np.searchsorted(offsets[:, 1], context, side="right")) if context else 0
            parts = list(windows_of(ids, first, self._longest, cut=self._long_texts == "cut"))
            pooled = sum(len(part.ids) - part.pooled_from for part in parts)
            reading.long[row] = len(ids) > self._longest
            reading.cut[row] = parts[0].pooled_from < first or pooled < len(ids) - first
            reading.unknown[row] = unknown_characters("".join(pairs[row]), ids[first:], offsets[first:], self._unknown)
            windows.append(parts)
        return self._scatter(written, windows, len(pairs), progress), reading

    def _tokenize(self, texts: list[str]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Token ids of each text, and where in it each token begins and ends, (T, 2)."""
        if not texts:
            return []
        encoded = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            (np.array(ids, dtype=np.int64), np.array(offsets, dtype=np.int64).reshape(-1, 2))
            for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]

    def _scatter(self, rows: list[int], windows: list[list[Window]], total: int, progress: Progress | None) -> Vectors:
        """Vectors (total, d): the means of ``windows`` in their rows, zeros elsewhere.

        First windows come first, by themselves: so a text of one window shares its batch with the same texts, and has the
        same vector to the last bit, whatever becomes of longer ones.
        """
        vectors = np.zeros((total, self._dimension), dtype=np.float32)
        more = [(place, window) for place, parts in enumerate(windows) for window in parts[1:]]
        count = len(windows) + len(more)
        first = self._pool_windows([parts[0] for parts in windows], 0, count, progress)
        vectors[rows] = first.vectors
        if more:
            rest = self._pool_windows([window for _, window in more], len(windows), count, progress)
            owners = [*range(len(windows)), *(place for place, _ in more)]
            weights = np.concatenate([first.weights, rest.weights])
            means = weighted_mean(np.concatenate([first.vectors, rest.vectors]), weights, owners, len(windows))
            long = sorted({place for place, _ in more})
            vectors[[rows[place] for place in long]] = means[long]
        return vectors

    def _pool_windows(self, windows: list[Window], before: int, total: int, progress: Progress | None) -> _Pooled:
        """Pool windows batch by batch. ``before``: windows of ``total`` that were done earlier."""
        pooled = _Pooled(np.zeros((len(windows), self._dimension), np.float32), np.zeros(len(windows)))
        most_tokens = MOST_TOKENS_CPU if self._model.device.type == "cpu" else MOST_TOKENS_GPU
        done = before
        for places in batches([len(window.ids) for window in windows], self._batch_size, most_tokens):
            batch = self._pool_batch([windows[place] for place in places])
            pooled.vectors[places], pooled.weights[places] = batch.vectors, batch.weights
            done += len(places)
            if progress is not None:
                progress(done, total)
        return pooled

    def _pool_batch(self, batch: list[Window]) -> _Pooled:
        import torch

        try:
            return self._forward(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            logger.warning("out of memory with %d texts in a batch: halving it; lower batch_size", len(batch))
        free_gpu_memory()
        middle = len(batch) // 2
        halves = self._pool_batch(batch[:middle]), self._pool_batch(batch[middle:])
        return _Pooled(
            np.concatenate([half.vectors for half in halves]), np.concatenate([half.weights for half in halves])
        )

    def _forward(self, batch: list[Window]) -> _Pooled:
        """Pool one batch. Padded on the right: a decoder's token sees only what is before it, so no mask is needed."""
        import torch

        shape = len(batch), max(1, *(len(tokens.ids) for tokens in batch))
        ids = np.zeros(shape, dtype=np.int64)
        weights = np.zeros(shape, dtype=np.float32)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens.ids)] = tokens.ids
            weights[row, tokens.pooled_from : len(tokens.ids)] = self._token_weights(tokens.ids[tokens.pooled_from :])
        device = self._model.device
        with torch.inference_mode():
            hidden = self._mean_of_layers(torch.from_numpy(ids).to(device))
            weight = torch.from_numpy(weights).to(device)
            # What overflows where nothing is pooled doesn't matter, and 0 · inf would be NaN.
            hidden = hidden.masked_fill(weight[:, :, None] == 0, 0.0)
            total = weight.sum(dim=1, keepdim=True).clamp(min=1e-8)
            pooled = torch.einsum("bt,btd->bd", weight, hidden) / total
            length = pooled.norm(dim=1, keepdim=True).clamp(min=1e-12)
            return _Pooled((pooled / length).cpu().numpy(), (length * total)[:, 0].double().cpu().numpy())

    def _mean_of_layers(self, ids: Any) -> Any:
        """Mean over the chosen layers, (B, T, d) in float32."""
        states = self._model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states
        total = states[self._hidden_layers[0]].float()
        for layer in self._hidden_layers[1:]:
            total = total + states[layer].float()
        return total / len(self._hidden_layers)


def _tokenizer_of_file(path: str, revision: str | None) -> Any:
    """The tokenizer as its tokenizer.json has it.

    AutoTokenizer gives some types of model (Qwen2 for one) a class with rules of its own for splitting text, whatever
    the file says.
    """
    from transformers import PreTrainedTokenizerFast

    if Path(path).is_dir() and not (Path(path) / "tokenizer.json").is_file():
        return load_tokenizer(path, revision)
    return PreTrainedTokenizerFast.from_pretrained(path, revision=loading_revision(path, revision) or "main")


def _resolve_layers(layers: Sequence[int], depth: int, name: str) -> list[int]:
    """Indices from 0 into the ``depth + 1`` hidden states."""
    missing = [layer for layer in layers if not -depth - 1 <= layer <= depth]
    if missing:
        raise EmbedderError(
            f"{name} has {depth} layers, so hidden states {-depth - 1} to {depth}: there is no {missing[0]} (see `layers`)"
        )
    return [layer % (depth + 1) for layer in layers]


def _drop_layers_above(model: Any, highest: int) -> None:
    """Leave out the layers that no one asks for, and the norm after them, where the model is built as Llama is."""
    import torch

    layers = getattr(model, "layers", None)
    if isinstance(layers, torch.nn.ModuleList) and hasattr(model, "norm") and highest < len(layers):
        model.layers = layers[:highest]
        model.norm = torch.nn.Identity()
        model.config.num_hidden_layers = highest
