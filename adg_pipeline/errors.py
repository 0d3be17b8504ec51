"""Errors that a user can mend; their messages name the file or field and the mend."""


class PipelineError(RuntimeError):
    """Base of the errors that say what to do about them. They are shown without a traceback."""


class StoreError(PipelineError):
    """Something in the store is missing, damaged or can't be written. The message names the path and the mend."""


class StaleInputError(PipelineError):
    """Inputs were made with differing recipes, or not at all, so a result would not mean anything."""


class ShardFault(PipelineError):
    """One shard's own data is at fault. It is put aside with this reason; other shards go on."""
