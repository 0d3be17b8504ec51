"""Backbones as files: where one lies, and that it can be loaded safely.

Only safetensors are read and no code of a model's repository is run. What loads a model and keeps it (generators,
embedders, the trainer) starts here.
"""

import re
from pathlib import Path

from adg_pipeline.errors import PipelineError

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).resolve().parents[1] / "demo" / "backbone"

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

HUB_SECONDS = 10.0  # longest wait for the hub's answer; its own client would try five times, for half a minute


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
    if not is_hub_name(name):
        raise ModelNotFound(f"there is no directory {folder.absolute()}, and {name!r} is no hub name: correct the path")
    hub_commit(name, revision)
    return name


def is_hub_name(name: str) -> bool:
    """Whether the hub is to be asked: ``owner/model``, unless a folder ``owner`` is here, so that a path was meant."""
    return bool(_HUB_NAME.fullmatch(name)) and not ("/" in name and Path(name).parent.is_dir())


def hub_commit(name: str, revision: str | None = None) -> str:
    """The commit that a hub revision stands for now, so that what is recorded is what is loaded.

    The hub is asked once, for `HUB_SECONDS` at most; if it can't be reached, the local cache tells.

    Raises:
        ModelNotFound: the hub doesn't know it or doesn't let one in, or can't be reached and the cache doesn't hold it.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    client_error: type[Exception] = HfHubHTTPError.__bases__[
        0
    ]  # of the HTTP client that it uses, and of a lost connection too
    if revision and _COMMIT.fullmatch(revision):
        return revision
    try:
        commit = HfApi().model_info(name, revision=revision, timeout=HUB_SECONDS).sha
        hub_file = hf_hub_download(name, "config.json", revision=commit, etag_timeout=HUB_SECONDS)
        # Its place in the cache is .../snapshots/<commit>/config.json, whether it was fetched or already there.
        return Path(hub_file).parent.name
    except GatedRepoError as error:
        raise ModelNotFound(
            f"{name!r} is gated: accept its licence at https://huggingface.co/{name} and log in with `hf auth login`, "
            "or give a directory"
        ) from error
    except OfflineModeIsEnabled:
        hub = "HF_HUB_OFFLINE=1 forbids asking the hub"
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError):
        hub = "the hub has none, or hides it from who isn't logged in (`hf auth login`)"
    except client_error as error:
        hub = f"the hub gave no answer ({' '.join(str(error).split())[:200]})"
    try:
        return Path(hf_hub_download(name, "config.json", revision=revision, local_files_only=True)).parent.name
    except EntryNotFoundError as error:
        raise ModelNotFound(
            f"{name!r} (revision {revision or 'main'}) is no directory here, {hub}, and the local cache doesn't have it: "
            "correct name or revision, or give a directory"
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


def context_length(path_or_name: str, revision: str | None = None) -> int | None:
    """Tokens that the model's positions reach, None if its configuration doesn't say."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path_or_name, revision=loading_revision(path_or_name, revision))
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def loading_revision(path_or_name: str, revision: str | None = None) -> str | None:
    """The revision to load: the commit of a hub model, None for a directory."""
    return None if Path(path_or_name).is_dir() else hub_commit(path_or_name, revision)
