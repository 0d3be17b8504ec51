"""Seeds and names of requests: hashes, so that neither depends on order, shard, batch or what was asked before."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_TOLD_BY_CONTENT = re.compile(r"(?<=.)@[0-9a-f]{12}$", re.DOTALL)


def sample_seed(seed: int, example_id: str, sample_index: int) -> int:
    """The seed of one sample, in [0, 2³¹): the widest range that every engine takes.

    vLLM and hosted APIs take 64 bits, llama.cpp and Ollama 32, some of them signed. Two samples of one example share a
    seed once in 2³¹ pairs. Of an id that is told apart by content, the file's own part counts: so the answers stay the
    same whichever way a file's ids are taken (`adg_pipeline.formats.ids`).
    """
    example_id = _TOLD_BY_CONTENT.sub("", example_id)
    return int.from_bytes(_digest([seed, example_id, sample_index], size=8)) >> 33


def request_id(model: Mapping[str, Any], prompt: str | Sequence[int], sampling: Mapping[str, Any], seed: int) -> str:
    """Name of one request, as 32 hex digits: a hash of everything that decides its answer.

    Args:
        model: what identifies the model, and the engine that runs it.
        prompt: the rendered prompt, or its token ids where the text alone doesn't say them.
        sampling: temperature, top_p, top_k, max_new_tokens, and what ends an answer beside the model's own end tokens.
        seed: the sample's own seed.
    """
    return _digest([model, prompt, sampling, seed], size=16).hex()


def _digest(value: Any, size: int) -> bytes:
    # JSON has one spelling for each value here on every platform: sorted keys, no spaces, ASCII only.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode("ascii"), digest_size=size).digest()
