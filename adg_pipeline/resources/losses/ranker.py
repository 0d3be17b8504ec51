"""SCAR's ranker (arXiv 2406.10882): how much an answer is written in the style of one that a model learns well from.

An encoder reads instruction and answer apart. A first network relates the two pooled vectors; a second one reads that
relation beside the answer's states, pooled by their maximum, and gives the score. Its weights are read from safetensors
alone, and its encoder is one of transformers' own: those published on an encoder with code of its own can't be loaded here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adg_pipeline.errors import PipelineError
from adg_pipeline.models.backbones import hub_commit, require_safetensors
from adg_pipeline.models.fingerprints import folder_digest

MAX_TOKENS = 512
DECIMALS = 3  # float32 sums, of a GPU, differ with the batch far below this
_WEIGHTS = "model.safetensors"


def require_ranker(folder: str) -> None:
    """Raise PipelineError, with what is missing, where the folder holds no ranker."""
    path = Path(folder)
    if not path.is_dir():
        raise PipelineError(f"there is no folder {path.absolute()}")
    require_safetensors(path)
    if missing := [name for name in (_WEIGHTS, "tokenizer.json") if not (path / name).is_file()]:
        raise PipelineError(f"{path} holds no whole SCAR ranker: {' and '.join(missing)} missing")
    if "encoder_name" not in json.loads((path / "config.json").read_text(encoding="utf-8")):
        raise PipelineError(f"{path / 'config.json'} is no SCAR ranker's: it names no encoder (encoder_name)")


def ranker_content(folder: str) -> str:
    """What identifies a ranker: its own files, and the configuration that its encoder is built of.

    Raises PipelineError where either isn't there.
    """
    require_ranker(folder)
    encoder = _encoder(folder)
    built_of = folder_digest(Path(encoder)) if Path(encoder).is_dir() else hub_commit(encoder)
    whole = f"{folder_digest(Path(folder))} {built_of}"
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def _encoder(folder: str) -> str:
    """Where the encoder's configuration is: a folder within the ranker's own, another one, or a hub name."""
    named = str(json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["encoder_name"])
    inside = Path(folder) / named
    return str(inside) if inside.is_dir() else named


class Ranker:
    """A ranker of a local folder: ``config.json`` (encoder_name, hidden_dim, linear_dim), ``tokenizer.json`` and
    ``model.safetensors``.

    encoder_name: a folder, also one within the ranker's own, or a hub name, of which the configuration alone is read.
    """

    def __init__(self, folder: str, device: str) -> None:
        require_ranker(folder)
        import torch
        from safetensors.torch import load_file
        from torch import nn
        from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        try:
            encoder = AutoConfig.from_pretrained(_encoder(folder), trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise PipelineError(
                f"reference_losses.ranker: its encoder {config['encoder_name']} can't be built here: "
                f"{str(error).splitlines()[0]}"
            ) from error
        hidden, linear = int(config.get("hidden_dim", 1024)), int(config.get("linear_dim", 1024))

        def network(width: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(2 * hidden, linear), nn.ReLU(), nn.Linear(linear, width))

        self._model: Any = nn.ModuleDict(
            {
                "encoder": AutoModel.from_config(encoder, trust_remote_code=False),
                "relation_network": network(hidden),
                "output_layer": network(1),
            }
        )
        weights = load_file(Path(folder) / _WEIGHTS)
        try:
            found = self._model.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise PipelineError(f"reference_losses.ranker: the weights of {folder} don't fit: {error}") from error
        # Buffers such as positions aren't saved by every version; what is learnt must be there.
        learnt = {name for name, _ in self._model.named_parameters()}
        if lost := [*sorted(learnt.intersection(found.missing_keys)), *found.unexpected_keys]:
            raise PipelineError(
                f"reference_losses.ranker: {_WEIGHTS} of {folder} and its configuration differ in {', '.join(lost[:5])}"
            )
        # In float32 one score in some hundred comes so near the middle between two roundings that its batch decides.
        self._model = self._model.to(device, torch.float64 if device == "cpu" else torch.float32).eval()
        # A text's first token is pooled, so padding goes after it.
        self._tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, padding_side="right")
        self._device = device

    def scores(self, pairs: Sequence[tuple[str, str]], batch_size: int) -> list[float]:
        """A score for each instruction and answer; the higher, the better. Texts are cut at 512 tokens, as its authors do."""
        found = [0.0] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda place: len(pairs[place][0]) + len(pairs[place][1]))
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            for place, score in zip(places, self._batch([pairs[place] for place in places]), strict=True):
                found[place] = round(score, DECIMALS)
        return found

    def _batch(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        import torch

        with torch.inference_mode():
            asked, _, _ = self._read([instruction for instruction, _ in pairs])
            answered, states, mask = self._read([answer for _, answer in pairs])
            style = self._model["relation_network"](torch.cat([asked, answered], dim=1))
            form = states.masked_fill(mask[:, :, None] == 0, -1e9).amax(dim=1)
            scores: list[float] = self._model["output_layer"](torch.cat([style, form], dim=1))[:, 0].tolist()
        return scores

    def _read(self, texts: Sequence[str]) -> tuple[Any, Any, Any]:
        """Pooled (B, d), states (B, T, d) and mask (B, T)."""
        read = self._tokenizer(
            list(texts), return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS
        ).to(self._device)
        output = self._model["encoder"](input_ids=read.input_ids, attention_mask=read.attention_mask)
        pooled = getattr(output, "pooler_output", None)
        return (
            output.last_hidden_state[:, 0] if pooled is None else pooled,
            output.last_hidden_state,
            read.attention_mask,
        )
