"""Errors that a user can mend; their messages name the file or field and the mend."""

from collections.abc import Sequence
from pathlib import Path


class PipelineError(RuntimeError):
    """Base of the errors that say what to do about them. They are shown without a traceback."""

    #: Whether trying again in a moment may help. Otherwise somebody has to mend something first.
    may_pass = False


class SettingsError(ValueError):
    """A setting is unknown or out of bounds; the message names the file or option, the field and the bounds."""


class StoreError(PipelineError):
    """Something in the store is missing, damaged or can't be written. The message names the path and the mend.

    delete: damaged files and folders. Once they are deleted, the next run makes them again.
    """

    def __init__(self, message: str, delete: Sequence[Path] = ()) -> None:
        super().__init__(message)
        self.delete = tuple(delete)


class StaleInputError(PipelineError):
    """Inputs were made with differing recipes, or not at all, so a result would not mean anything."""


class EndAsked(PipelineError):
    """Somebody wants the run to end. What was under way has been kept, and nothing more is begun."""


class ShardFault(PipelineError):
    """One shard's own data is at fault. It is put aside with this reason; other shards go on."""
