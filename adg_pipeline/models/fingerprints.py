"""What identifies a model: its files, wherever they lie."""

import hashlib
import os
from pathlib import Path

from adg_pipeline.models.backbones import EMBEDDED, EMBEDDED_FOLDER, hub_commit, require_safetensors

# The files that decide what a model computes: weights, configuration, tokenizer, chat template, and the modules of a
# sentence-transformers model. A README, a trainer's state or an optimizer's say nothing about it.
_CONTENT = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "chat_template*",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "[0-9]_*/*.json",
    "[0-9]_*/*.safetensors",
)
_MIB = 2**20
_WHOLE_FILE_BYTES = 64 * _MIB


def model_fingerprint(path_or_name: str, revision: str | None = None) -> dict[str, str | None]:
    """What identifies a model: ``id``, ``revision`` and ``content``.

    Of a directory, ``id`` is the folder's name, ``revision`` is None, and ``content`` is a hash of the files that
    decide what the model computes, wherever the folder lies. Of files over 64 MiB it reads the size and a MiB from each
    end, so that a backbone of many gigabytes takes a moment. Of a hub model, ``content`` is the commit.
    """
    folder = Path(path_or_name)
    if folder.is_dir():
        require_safetensors(folder)
        name = EMBEDDED if folder.resolve() == EMBEDDED_FOLDER else folder.resolve().name
        return {"id": name, "revision": None, "content": f"sha256:{folder_digest(folder)}"}
    return {"id": path_or_name, "revision": revision, "content": f"commit:{hub_commit(path_or_name, revision)}"}


def folder_digest(folder: Path) -> str:
    files = sorted({file for pattern in _CONTENT for file in folder.glob(pattern) if file.is_file()})
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder).as_posix()}\0{_file_digest(file)}\n".encode())
    return digest.hexdigest()


def _file_digest(file: Path) -> str:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= _WHOLE_FILE_BYTES:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256(f"{size}\0".encode())
        digest.update(stream.read(_MIB))
        stream.seek(-_MIB, os.SEEK_END)
        digest.update(stream.read(_MIB))
        return digest.hexdigest()
