"""The pool directory: one file is one shard. Its keys, its listing and the version of a file."""

import hashlib
import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path

from adg_pipeline.formats.errors import PoolFileError
from adg_pipeline.host.shared_files import listed_at_hand, states_in

_SUFFIX = re.compile(r"(\.(jsonl|ndjson|json|csv|tsv|parquet))?(\.(gz|zst))?$", re.IGNORECASE)
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_-]")
_SHARD_NUMBER = re.compile(r"-\d{5,}(-of-\d{5,})?$")
_UNFINISHED = (".tmp", ".part")
# Longer keys are cut: what is written beside a file on its way adds some 60 characters, and a name may have 255 bytes.
_LONGEST_KEY = 150


@dataclass(frozen=True)
class ShardFile:
    """A file of the pool directory. size in bytes; mtime_ns in nanoseconds since the epoch."""

    path: Path
    size: int
    mtime_ns: int

    def at_hand(self) -> Path:
        """The path, once the file lies there. If it is another one by now, its time isn't the listed one."""
        return listed_at_hand(self.path, self.mtime_ns)


@dataclass(frozen=True)
class PoolListing:
    """shards: by key, in the keys' order. problems: what lies there and is no shard, one sentence each. unusable: keys of
    which something lies there, but no file that can be read: not finished, disputed, forbidden. They are not gone."""

    shards: dict[str, ShardFile] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unusable: frozenset[str] = frozenset()


def split_name(filename: str) -> tuple[str, str]:
    """Stem and suffixes: ``("alpaca", ".json.gz")`` for ``alpaca.json.gz``. Other suffixes stay in the stem."""
    match = _SUFFIX.search(filename)
    at = match.start() if match else len(filename)
    return filename[:at], filename[at:]


def shard_key(filename: str) -> str:
    """The file's stem, with every character outside ``[A-Za-z0-9_-]`` replaced by ``-``.

    A stem with other letters than ASCII's is spelt without them and gets eight letters of a hash, which two names have
    in common only if they are the same characters (composed or not): ``Größe.json`` is ``Gro-e-…``, ``数据.json`` is
    ``file-…``. A shard number stays at the end. Two ASCII names may have one key (``a.json`` and ``a.jsonl``, ``a b.json``
    and ``a-b.json``): `list_shards` tells. Raises PoolFileError for a name that leaves nothing to make a key of.
    """
    stem = split_name(filename.rpartition("/")[2])[0]  # Path would take as long as all else of a look at a pool
    if not stem:
        raise PoolFileError(f"{filename!r} has no stem to make a shard key of; rename the file")
    number = _SHARD_NUMBER.search(stem)
    base, end = (stem[: number.start()], number[0]) if number and number.start() else (stem, "")
    key = _NOT_IN_KEYS.sub("-", base)
    if not stem.isascii():
        plain = "".join(mark for mark in unicodedata.normalize("NFKD", base) if not unicodedata.combining(mark))
        key = f"{_NOT_IN_KEYS.sub('-', plain).strip('-') or 'file'}-{_hash_letters(base)}"
    if len(key) > _LONGEST_KEY:
        key = f"{key[: _LONGEST_KEY - 9]}-{_hash_letters(base)}"
    return key + end


def _hash_letters(text: str) -> str:
    """Eight letters from a to p: digits could be taken for a shard number."""
    data = unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")
    return "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(data).hexdigest()[:8])


def source_name(path: Path) -> str:
    """What the file's records come from if they don't say: its shard key without shard number.

    ``alpaca`` for ``alpaca.json``, ``alpaca-00003.jsonl`` and ``alpaca-00003-of-00010.parquet``.
    """
    key = shard_key(path.name)
    return _SHARD_NUMBER.sub("", key) or key


def file_version(file: ShardFile) -> str:
    """Changes when the file is written to: its size and time of change, which cost no reading."""
    return f"{file.size}-{file.mtime_ns}"


def list_shards(pool_dir: Path) -> PoolListing:
    """The shards of the pool directory, and what in it can't be one.

    A key that two files claim is given to neither, since which of them was meant can't be known. Dot files, ``*.tmp``
    and ``*.part`` are not finished and are ignored.

    Raises OSError where the directory is missing or can't be read: a failed look is not an empty pool.
    """
    claims: dict[str, list[ShardFile]] = defaultdict(list)
    problems: list[str] = []
    seen: set[str] = set()
    for name, look in sorted(_listed(pool_dir), key=itemgetter(0)):
        unfinished = next((suffix for suffix in _UNFINISHED if name.lower().endswith(suffix)), None)
        key = shard_key(name[: -len(unfinished)] if unfinished else name)
        seen.add(key)
        if unfinished:
            continue
        found = look()
        if isinstance(found, str):
            problems.append(found)
        elif found is not None:
            claims[key].append(found)
    for key, files in claims.items():
        if len(files) > 1:
            listed = " and ".join(file.path.name for file in files)
            problems.append(f"{listed} have the same shard key {key}, so none of them is read: rename all but one")
    shards = {key: files[0] for key, files in sorted(claims.items()) if len(files) == 1}
    return PoolListing(shards, problems, frozenset(seen - shards.keys()))


def _listed(pool_dir: Path) -> Iterator[tuple[str, Callable[[], ShardFile | str | None]]]:
    """Names of what lies in the pool directory, but for hidden ones, and how to look at each."""
    stored = states_in(pool_dir)
    if stored is not None:
        for name, (size, mtime_ns, _) in stored.items():
            if not name.startswith("."):
                yield name, partial(ShardFile, pool_dir / name, size, mtime_ns)
        return
    inside = pool_dir.resolve(strict=True)
    with os.scandir(pool_dir) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry.name, partial(_look, entry, pool_dir, inside)


def _look(entry: "os.DirEntry[str]", folder: Path, inside: Path) -> ShardFile | str | None:
    """The file, what is wrong with it, or None if it went away between listing and looking."""
    path = folder / entry.name
    try:
        if entry.is_symlink() and not path.resolve().is_relative_to(inside):
            return f"{path.name} is a link out of the pool directory: copy the file into it"
        status = entry.stat()
    except FileNotFoundError:
        return f"{path.name} is a link to nothing" if path.is_symlink() else None
    except OSError as error:
        return f"{path.name} can't be looked at ({error.strerror})"
    if stat.S_ISDIR(status.st_mode):
        return f"{path.name} is a directory, in which nothing is read: move it elsewhere, then `adg pool add` it"
    if not stat.S_ISREG(status.st_mode):
        return f"{path.name} is no regular file: no shard"
    if not os.access(entry.path, os.R_OK):
        return f"{path.name} can't be read: its permissions forbid it"
    return ShardFile(path, status.st_size, status.st_mtime_ns)
