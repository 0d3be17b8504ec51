"""What can be wrong with a pool file, and with one record of it."""

from adg_pipeline.errors import PipelineError, ShardFault


class PoolFileError(ShardFault, ValueError):
    """Nothing in the file can be used. The message names the file, what was found and what was expected."""


class PoolFileChanged(PipelineError):
    """The file was written to, replaced or removed while it was read. No fault of its data: it is read again as it is
    then, so nothing is put aside for it."""


class Unusable(ValueError):
    """One record can't be used.

    kind: a fixed wording that rejections are counted by. detail: what is particular to this record.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(encodable(f"{kind}: {detail}" if detail else kind))
        self.kind = kind


def encodable(text: str) -> str:
    """The text with lone surrogates as escapes: a message about broken data has to be written and printed itself."""
    return text.encode("utf-8", "backslashreplace").decode()


class ShardConflict(PipelineError, ValueError):
    """The pool already holds these records under other shard keys, or other records under these."""
