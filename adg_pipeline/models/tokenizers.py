"""Tokenizers of backbones."""

from typing import Any

from adg_pipeline.models.backbones import loading_revision


def load_tokenizer(path_or_name: str, revision: str | None = None) -> Any:
    """The model's tokenizer, without running code of its repository."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path_or_name, revision=loading_revision(path_or_name, revision))
