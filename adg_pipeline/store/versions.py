"""What a pool file counts as: time and size are the hint that costs no reading, the content decides where they changed.

A copied project, a touched file, a file put back from a backup: other times, the same bytes. Such a file is hashed once;
a line per shard remembers what its new time and size stand for, so that the next look costs a `stat` again.
"""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from adg_pipeline.formats.shards import ShardFile, file_version
from adg_pipeline.formats.staging import sha256_of
from adg_pipeline.store.provenance import Provenance


def known_version(file: ShardFile, stored: Provenance | None, memory: Path) -> str:
    """The version under which raw_pool read these bytes, if it did; else the file's own time and size.

    stored: the raw_pool's provenance. memory: a folder with a small file per shard, to remember a hash in.
    """
    hint = file_version(file)
    if stored is None or stored.inputs.get("file") == hint:
        return hint
    read, sha256 = stored.inputs.get("file", ""), stored.facts.get("sha256")
    if sha256 is None or not read.startswith(f"{file.size}-"):
        return hint
    return read if _sha256(file, hint, memory / stored.shard) == sha256 else hint


@lru_cache(maxsize=100_000)
def _sha256(file: ShardFile, hint: str, memory: Path) -> str:
    """SHA-256 of the bytes that this time and size stand for; empty where they can't be read."""
    with suppress(OSError, ValueError):
        seen, sha256 = memory.read_text(encoding="ascii").split()
        if seen == hint:
            return sha256
    try:
        sha256 = sha256_of(file.at_hand())
        status = file.path.stat()
    except OSError:
        return ""
    # Written to while it was read: whoever looks next finds another time. A store that can't be written is hashed again.
    if f"{status.st_size}-{status.st_mtime_ns}" == hint:
        with suppress(OSError):
            memory.parent.mkdir(exist_ok=True)
            memory.write_text(f"{hint} {sha256}\n", encoding="ascii")
    return sha256
