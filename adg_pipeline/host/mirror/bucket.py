"""An object store's bucket, or a prefix of it: single objects, each put in one step, told apart by their ETags."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from adg_pipeline.errors import StoreError

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutResult, UpdateVersion
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

PATIENCE = 60.0
_CLOUDS = ("AWS", "GOOGLE", "AZURE")
_user = 0  # the process whose threads talk to object stores
SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")


class Same(Enum):
    """The object is the one that the caller has already."""

    SAME = "same"


class Taken(Exception):
    """Another writer was there first: the object exists, or isn't the version that it was to replace."""


class Version(NamedTuple):
    """Of an object. tag: its ETag, by which versions are told apart. generation: what Google's store asks for besides."""

    tag: str
    generation: str | None = None


@dataclass(frozen=True)
class Object:
    """An object as it is listed. key: below the bucket's own prefix. version: its ETag."""

    key: str
    version: str
    size: int
    changed: datetime


class Bucket:
    """Objects below a URL such as ``s3://bucket/prefix``. Credentials come from the environment that the store's own tools
    read (AWS_*, GOOGLE_*, AZURE_*) or from the machine's role; none is kept or told.

    Errors of the store, of the network and of credentials are StoreErrors that name the URL. What may pass (no answer, 429,
    5xx) was tried again for so many seconds of `patience` by then.
    """

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        scheme = url.partition("://")[0]
        if scheme not in SCHEMES:
            raise StoreError(f"{url}: {scheme}:// is no object store that is known; known are {', '.join(SCHEMES[:3])}")
        self.url, self._patience = url.rstrip("/"), timedelta(seconds=patience)

    @cached_property
    def _store(self) -> "ObjectStore":
        from obstore.store import from_url  # takes a tenth of a second, which a local store needn't spend

        with self._faults(""):
            # An hour for one object: a checkpoint's weights come in one answer. What stands in the environment of a client's
            # options doesn't count where there are others.
            plain = any(os.environ.get(f"{name}_ALLOW_HTTP", "").lower() in ("1", "true") for name in _CLOUDS)
            retries: RetryConfig = {"retry_timeout": self._patience, "max_retries": 1000}
            options: ClientConfig = {"timeout": "1 hour", "connect_timeout": "10 seconds", "allow_http": plain}
            return from_url(self.url, client_options=options, retry_config=retries)

    def get(self, key: str, unless: str | None = None) -> tuple[bytes, Version] | Same | None:
        """An object's bytes and version; `Same` where that is `unless`; None where there is none."""
        import obstore

        try:
            with self._faults(key):
                found = obstore.get(self._store, key, options=_unless(unless))
                return bytes(found.bytes()), _version(found.meta)
        except obstore.exceptions.NotModifiedError:
            return Same.SAME
        except FileNotFoundError:
            return None

    def download(self, key: str, place: BinaryIO, unless: str | None = None) -> str | Same | None:
        """Likewise, but into a file: its version."""
        import obstore

        try:
            with self._faults(key):
                found = obstore.get(self._store, key, options=_unless(unless))
                for chunk in found.stream(min_chunk_size=4 * 2**20):
                    place.write(chunk)
                return _version(found.meta).tag
        except obstore.exceptions.NotModifiedError:
            return Same.SAME
        except FileNotFoundError:
            return None

    def put(self, key: str, what: bytes | Path, *, new: bool = False, instead_of: Version | None = None) -> Version:
        """Put an object, whole or not at all; its version. Raises Taken unless it is `new`, or replaces that version."""
        import obstore

        replaced: UpdateVersion | None = None
        if instead_of is not None:
            replaced = {"e_tag": instead_of.tag}
            if instead_of.generation is not None:
                replaced["version"] = instead_of.generation
        try:
            with self._faults(key):
                return _version(obstore.put(self._store, key, what, mode="create" if new else replaced or "overwrite"))
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError) as error:
            # Perhaps it was put, and only the answer lost on its way, so that the next try met itself.
            if isinstance(what, bytes) and isinstance(found := self.get(key), tuple) and found[0] == what:
                return found[1]
            raise Taken(key) from error
        except FileNotFoundError as error:
            if instead_of is not None:
                raise Taken(key) from error
            raise StoreError(f"{self.url}: there is no such bucket, or this account doesn't see it") from error

    def delete(self, *keys: str) -> None:
        """Delete objects; one that isn't there is no error."""
        import obstore

        for start in range(0, len(keys), 1000):
            with self._faults(keys[start]):
                try:
                    obstore.delete(self._store, list(keys[start : start + 1000]))
                except FileNotFoundError:
                    if len(keys) > 1:  # not every store tells which one
                        for key in keys[start : start + 1000]:
                            self.delete(key)

    def version(self, key: str) -> str | None:
        """An object's version; None where there is none."""
        import obstore

        try:
            with self._faults(key):
                return _version(obstore.head(self._store, key)).tag
        except FileNotFoundError:
            return None

    def inside(self, folder: str) -> tuple[list[Object], list[str]]:
        """Objects right inside a folder, and the names of folders in it. A request for each thousand."""
        import obstore

        with self._faults(folder):
            found = obstore.list_with_delimiter(self._store, folder)
            return [_object(meta) for meta in found["objects"]], [
                prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"]
            ]

    def below(self, folder: str) -> list[Object]:
        """Objects in a folder and in all folders in it."""
        import obstore

        with self._faults(folder):
            return [_object(meta) for batch in obstore.list(self._store, f"{folder}/") for meta in batch]

    def end(self, key: str, size: int) -> bytes | None:
        """The last `size` bytes of an object, or all; None where there is none."""
        import obstore

        try:
            with self._faults(key):
                return bytes(obstore.get(self._store, key, options={"range": {"suffix": size}}).bytes())
        except FileNotFoundError:
            return None

    def require_conditions(self) -> None:
        """Raise StoreError unless a put can be made to depend on what is there: locks and pointers rest on it."""
        key = f".adg/probe-{uuid.uuid4().hex}"
        try:
            version = self.put(key, b"1", new=True)
            other = Version(f'"{"0" * 32}"', version.generation and str(int(version.generation) - 1))
            for is_new in (True, False):
                try:
                    self.put(key, b"2", new=is_new, instead_of=None if is_new else other)
                except Taken:
                    continue
                raise StoreError(
                    f"{self.url}: this store overwrites an object though it was asked not to (If-None-Match, If-Match), so "
                    "two hosts would overwrite each other's work: use a store with conditional puts, or a directory"
                )
            self.put(key, b"3", instead_of=version)
        finally:
            self.delete(key)

    def _require_threads(self) -> None:
        """Raise StoreError in a process that would wait for ever."""
        global _user
        _user = _user or os.getpid()
        if _user != os.getpid():
            raise StoreError(
                f"{self.url}: this process was forked from one that had talked to an object store, and lacks its threads: "
                "start it anew instead (multiprocessing's spawn)"
            )

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        import obstore

        self._require_threads()
        names = obstore.exceptions
        try:
            yield
        except (
            names.NotModifiedError,
            names.AlreadyExistsError,
            names.PreconditionError,
            FileNotFoundError,
            StoreError,
        ):
            raise
        except (names.PermissionDeniedError, names.UnauthenticatedError) as error:
            raise StoreError(
                f"{self.url}/{key}: the store refuses these credentials; they are read from the environment or the machine's "
                "role, and need to list, read, write and delete there"
            ) from error
        except names.BaseError as error:
            raise StoreError(f"{self.url}/{key}: the store can't be used ({_told(error)})") from error


def _object(meta: "ObjectMeta") -> Object:
    return Object(meta["path"], _version(meta).tag, meta["size"], meta["last_modified"])


def _version(meta: "ObjectMeta | PutResult") -> Version:
    return Version(str(meta["e_tag"] or meta["version"]), meta["version"])


def _told(error: Exception) -> str:
    """What an error says in its first lines: what follows are Rust's own structures."""
    if "169.254.169.254" in str(error):  # where a machine in a cloud asks for its role
        return "there are no credentials in the environment, and this machine has no role that brings them"
    lines: Sequence[str] = str(error).partition("\n\nDebug source")[0].splitlines()
    return " ".join(line.strip() for line in lines if line.strip())[:400]


def _unless(version: str | None) -> "GetOptions":
    return {"if_none_match": version} if version else {}
