"""Models as files: where a backbone lies, what identifies it, and what it runs on.

Only safetensors are read and no code of a model's repository is run. What loads a model and keeps it (generators,
embedders, the trainer) starts here.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from adg_pipeline.errors import PipelineError

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).resolve().parents[1] / "demo" / "backbone"

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
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MIB = 2**20
_WHOLE_FILE_BYTES = 64 * _MIB

# Below this, float64 costs a CPU less than it saves: see `choose_dtype`.
SMALL_MODEL_PARAMETERS = 50_000_000


class ModelNotFound(PipelineError):
    """No usable model under this name: it is missing, or its folder holds no safetensors."""


def resolve_backbone(name: str, revision: str | None = None) -> str:
    """Where a backbone is loaded from: a directory's path, or the name of a hub model.

    ``embedded`` is the packaged backbone. Of a hub model only the configuration is fetched here; without access to the
    hub the local cache must hold it.

    Raises:
        ModelNotFound: naming what was looked for and the mend.
    """
    folder = EMBEDDED_FOLDER if name == EMBEDDED else Path(name).expanduser()
    if folder.is_dir():
        require_safetensors(folder)
        return str(folder)
    if name == EMBEDDED:
        raise ModelNotFound(f"the packaged backbone is missing at {folder}: install adg-pipeline again")
    if not _HUB_NAME.fullmatch(name):
        raise ModelNotFound(f"backbone {name!r} is neither a directory nor a hub name: correct `backbone`")
    hub_commit(name, revision)
    return name


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
        return {"id": name, "revision": None, "content": f"sha256:{_folder_digest(folder)}"}
    return {"id": path_or_name, "revision": revision, "content": f"commit:{hub_commit(path_or_name, revision)}"}


def hub_commit(name: str, revision: str | None = None) -> str:
    """The commit that a hub revision stands for now, so that what is recorded is what is loaded.

    Raises:
        ModelNotFound: the hub doesn't know it, or can't be reached and the local cache doesn't hold it.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    if revision and _COMMIT.fullmatch(revision):
        return revision
    try:
        # Its place in the cache is .../snapshots/<commit>/config.json, whether it was fetched or already there.
        return Path(hf_hub_download(name, "config.json", revision=revision)).parent.name
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as error:
        raise ModelNotFound(
            f"{name!r} (revision {revision or 'main'}) is no directory, and neither the Hugging Face hub nor its local "
            "cache has it: check name and revision, or give a directory"
        ) from error


def require_safetensors(folder: Path) -> None:
    """Refuse a model folder without safetensors: pickled weights can run code when they are read."""
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        mend = "give a merged checkpoint" if (folder / "adapter_config.json").is_file() else "give a model's folder"
        raise ModelNotFound(f"{folder} holds no config.json: {mend}")
    if any(folder.glob("*.safetensors")) or any(folder.glob("[0-9]_*/*.safetensors")):
        return
    pickled = sorted(file.name for file in folder.iterdir() if file.suffix in {".bin", ".pt", ".pth", ".ckpt"})
    if pickled:
        raise ModelNotFound(
            f"{folder} holds pickled weights only ({', '.join(pickled[:3])}), which are not read: "
            "save the model with safetensors (save_pretrained writes them)"
        )
    raise ModelNotFound(f"{folder} holds no weights: no *.safetensors file")


def load_tokenizer(path_or_name: str, revision: str | None = None) -> Any:
    """The model's tokenizer, without running code of its repository."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path_or_name, revision=loading_revision(path_or_name, revision))


def context_length(path_or_name: str, revision: str | None = None) -> int | None:
    """Tokens that the model's positions reach, None if its configuration doesn't say."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path_or_name, revision=loading_revision(path_or_name, revision))
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def loading_revision(path_or_name: str, revision: str | None = None) -> str | None:
    """The revision to load: the commit of a hub model, None for a directory."""
    return None if Path(path_or_name).is_dir() else hub_commit(path_or_name, revision)


def pick_device(device: str = "auto") -> str:
    """A torch device: the one named, or for ``auto`` the first of cuda, mps and cpu that is there."""
    import torch

    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(dtype: str, device: str, parameters: int) -> Any:
    """The torch type to run a model in; None stands for the type that its weights are stored in.

    ``auto`` takes float64 for a small model on a CPU. The sums inside a forward pass come out differently with the
    shape of the batch. In float32 that noise is near 1e-6 of a probability, and over millions of draws some fall
    between the two values: a sample would then depend on what shares its batch. In float64 it is near 1e-15, and none
    does. (Where a layer computes in float32 whatever the type, as Llama's norms do, equal values are rounded alike.)
    """
    import torch

    if dtype != "auto":
        return getattr(torch, dtype)
    return torch.float64 if device == "cpu" and parameters < SMALL_MODEL_PARAMETERS else None


def _folder_digest(folder: Path) -> str:
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
