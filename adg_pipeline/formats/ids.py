"""An example's id: the file's own where that is unique beyond the file, else what the example says.

A number counts within its file, and any other file may have it too. It is told apart by the example's content, not by the
file's name: so an id depends neither on how a file is called or split nor on what else lies in the pool.
"""

import re

from adg_pipeline.settings.sections import IdScope

_NUMBER = re.compile(r"[0-9]{1,18}(#[0-9]+)?")
_TOLD_BY = 12  # digits of the content hash


def example_id(own: str | None, content_hash: str, scope: IdScope) -> str:
    """``7@1a2b3c4d5e6f`` for a file's own id that counts within the file, an id of another kind as it is.

    own: the file's id, None without one. scope: whether own ids are unique beyond their file; ``auto``: all but numbers.
    """
    if own is None:
        return content_hash
    if scope == "global" or (scope == "auto" and not _NUMBER.fullmatch(own)):
        return own
    # An id of a shard that this pipeline wrote has its end already.
    end = f"@{content_hash[:_TOLD_BY]}"
    return own if own.endswith(end) else own + end


def is_told_by_content(example_id: str, content_hash: str) -> bool:
    """Whether no other content can have this id."""
    return example_id == content_hash or example_id.endswith(f"@{content_hash[:_TOLD_BY]}")
