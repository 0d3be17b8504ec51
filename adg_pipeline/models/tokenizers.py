"""Tokenizers of backbones."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from adg_pipeline.models.backbones import loading_revision


def load_tokenizer(path_or_name: str, revision: str | None = None) -> Any:
    """The model's tokenizer, without running code of its repository."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path_or_name, revision=loading_revision(path_or_name, revision))


def ends_every_text(path_or_name: str, revision: str | None = None) -> bool:
    """Whether the tokenizer puts an end token after every text. Read from its file: nothing is loaded to tell."""
    file = _tokenizer_file(path_or_name, revision)
    if file is None:
        return False
    stat = file.stat()
    return _ends_every_text(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _ends_every_text(file: Path, *_: int) -> bool:
    last = json.loads(file.read_text("utf-8")).get("post_processor") or {}
    steps = last.get("processors", [last])
    ends = (step["single"][-1:] for step in steps if step.get("type") == "TemplateProcessing")
    return any("SpecialToken" in piece for end in ends for piece in end)


def _tokenizer_file(path_or_name: str, revision: str | None) -> Path | None:
    name = "tokenizer.json"
    if Path(path_or_name).is_dir():
        file = Path(path_or_name) / name
        return file if file.is_file() else None
    from huggingface_hub import hf_hub_download  # takes a quarter of a second, which a folder's look needn't spend
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(path_or_name, name, revision=loading_revision(path_or_name, revision)))
    except EntryNotFoundError:
        return None
