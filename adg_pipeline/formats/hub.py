"""A data set of the Hugging Face hub, streamed at a fixed commit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from adg_pipeline.errors import PipelineError
from adg_pipeline.formats.errors import PoolFileError

HUB_PREFIX = "hf:"
SECONDS = 10.0  # to wait for the hub's first answer
BATCH_ROWS = 512


@dataclass(frozen=True)
class HubDataset:
    """revision: the commit. rows: of the split; 0 if the hub doesn't say."""

    revision: str
    split: str
    tables: Callable[[], Iterator[pa.Table]]
    rows: int


def open_hub(name: str, revision: str | None, config: str | None, split: str | None) -> HubDataset:
    """Look a data set up; nothing of its rows is loaded yet.

    Raises PipelineError where the hub can't be reached or refuses, PoolFileError where config or split are to be chosen.
    """
    commit = _commit(name, revision)
    import datasets

    try:
        loaded = datasets.load_dataset(name, config, revision=commit, streaming=True)
    except (ValueError, RuntimeError, OSError) as error:
        # ValueError: several configs, which it lists. RuntimeError: a data set that is a script, which isn't run.
        raise PoolFileError(f"{HUB_PREFIX}{name}: {_first_line(error)} (--config chooses a configuration)") from error
    names = ", ".join(map(str, loaded))
    if split is None and len(loaded) > 1:
        raise PoolFileError(f"{HUB_PREFIX}{name} has the splits {names}: choose one with --split")
    chosen = split or str(next(iter(loaded)))
    if chosen not in loaded:
        raise PoolFileError(f"{HUB_PREFIX}{name} has no split {chosen}; it has {names}")
    stream = loaded[chosen]
    known = (stream.info.splits or {}).get(chosen)

    def tables() -> Iterator[pa.Table]:
        yield from stream.with_format("arrow").iter(batch_size=BATCH_ROWS)

    return HubDataset(commit, chosen, tables, known.num_examples if known is not None else 0)


def _commit(name: str, revision: str | None) -> str:
    """The commit that a branch, a tag or the newest state stands for. One question, no retries."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at {revision}" if revision else ""
    elsewhere = (
        f"Or fetch it on a machine that can, with `hf download {name} --repo-type dataset"
        f"{f' --revision {revision}' if revision else ''} --local-dir DIR`, and `adg pool add DIR`"
    )
    try:
        return str(HfApi().dataset_info(name, revision=revision, timeout=SECONDS).sha)
    except OfflineModeIsEnabled as error:
        mend = "unset HF_HUB_OFFLINE to have it asked"
        raise PipelineError(
            f"{HUB_PREFIX}{name}: the hub isn't asked, HF_HUB_OFFLINE is set: {mend}. {elsewhere}"
        ) from error
    except GatedRepoError as error:
        raise PipelineError(
            f"{HUB_PREFIX}{name} is gated: accept its terms on its page, then log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise PipelineError(
            f"{HUB_PREFIX}{name}: the hub has no such data set, or it is private: check the name, or log in with "
            "`hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise PipelineError(f"{HUB_PREFIX}{name} has no revision {revision}") from error
    except HfHubHTTPError as error:
        raise PipelineError(f"{HUB_PREFIX}{name}{at}: the hub refuses ({_first_line(error)})") from error
    except Exception as error:
        # Whatever its client raises for a name that doesn't resolve, a closed port or a slow answer.
        if not _is_of_the_network(error):
            raise
        raise PipelineError(
            f"{HUB_PREFIX}{name}{at}: the hub can't be reached ({_first_line(error)}). {elsewhere}"
        ) from error


def _is_of_the_network(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "requests")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
